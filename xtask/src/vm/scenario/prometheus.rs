//! Prometheus' own program and its judge read `/metrics`.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Guest, Scenario, agent};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "prometheus",
    what: "promtool approves of /metrics, and a real Prometheus scrapes it as OpenMetrics",
    needs_package: true,
    run,
};

/// What promtool says of names that OpenTelemetry gives to gauges (`system.process.count`), and
/// that are kept for whoever knows them.
const KNOWN: &str = "non-histogram and non-summary metrics should not have \"_count\" suffix";

const CONFIGURATION: &str = "\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: moonward
    static_configs:
      - targets: ['127.0.0.1:61777', '[::1]:61777']
";

fn run(guest: &mut Guest) -> Result<()> {
    guest.must("systemctl enable moonward-http.socket && systemctl restart moonward.service")?;
    let result = judged(guest).and_then(|()| scraped(guest));
    guest.must(
        "systemctl stop workshop-prometheus.service 2>/dev/null; \
         systemctl disable moonward-http.socket && systemctl stop moonward-http.socket; \
         systemctl restart moonward.service",
    )?;
    result
}

/// The text format is without a fault but the one that is known.
fn judged(guest: &mut Guest) -> Result<()> {
    let get = "busybox wget -q -O";
    guest.until(
        60,
        &format!("{get} /tmp/metrics http://127.0.0.1:61777/metrics"),
    )?;
    let lines = guest.must("grep -c -v '^#' /tmp/metrics")?;
    let lines: u64 = lines.trim().parse().context("lines")?;
    ensure!(lines > 500, "only {lines} samples");
    let output = guest.run("promtool check metrics </tmp/metrics 2>&1")?;
    // 3 is promtool's word for what can be read and is not as it should be.
    ensure!([0, 3].contains(&output.status), "promtool: {output:?}");
    let faults: Vec<&str> = output
        .stdout
        .lines()
        .filter(|line| !line.is_empty() && !line.ends_with(KNOWN))
        .collect();
    ensure!(faults.is_empty(), "promtool: {}", faults.join("\n"));
    // With the probes there are histograms.
    let histograms = guest.must("grep -c ' histogram$' /tmp/metrics")?;
    println!("{lines} samples, {} histograms", histograms.trim());
    let health = guest.must(&format!("{get} - http://127.0.0.1:61777/health"))?;
    ensure!(health.trim() == "ok", "/health says {health:?}");
    Ok(())
}

/// Prometheus asks for OpenMetrics and gzip, and takes every sample.
fn scraped(guest: &mut Guest) -> Result<()> {
    guest.push(
        "/etc/workshop-prometheus.yml",
        0o644,
        CONFIGURATION.as_bytes(),
    )?;
    guest.must(
        "systemd-run --quiet --collect --unit=workshop-prometheus -p DynamicUser=yes \
         -p StateDirectory=workshop-prometheus prometheus --config.file=/etc/workshop-prometheus.yml \
         --storage.tsdb.path=/var/lib/workshop-prometheus --web.listen-address=127.0.0.1:9090",
    )?;
    let up = query("up");
    guest.until(120, &format!("test $({up} | grep -o '\"1\"' | wc -l) = 2"))?;
    let scraped = value(guest, "min(scrape_samples_scraped)")?;
    ensure!(scraped > 500.0, "Prometheus took {scraped} samples");
    let shown = value(guest, "min(system_memory_limit_bytes)")?;
    let own = agent::metrics(guest, "system.memory.limit")?
        .first()
        .and_then(|metric| metric.value.as_f64())
        .context("no system.memory.limit")?;
    ensure!(
        (shown - own).abs() < 1.0,
        "{shown} bytes of memory in Prometheus, {own} here"
    );
    let kinds = guest.must(
        "busybox wget -q -O - \
         'http://127.0.0.1:9090/api/v1/metadata?metric=system_disk_io_bytes'",
    )?;
    // Only OpenMetrics names the family without its suffix.
    ensure!(
        kinds.contains("\"type\":\"counter\"") && kinds.contains("\"unit\":\"bytes\""),
        "Prometheus did not ask for OpenMetrics: {kinds}"
    );
    let left_out = agent::sum(guest, "moonward.prometheus.left_out", &[])?;
    ensure!(left_out < 0.5, "{left_out} samples were left out");
    Ok(())
}

fn query(expression: &str) -> String {
    format!("busybox wget -q -O - 'http://127.0.0.1:9090/api/v1/query?query={expression}'")
}

fn value(guest: &mut Guest, expression: &str) -> Result<f64> {
    let text = guest.must(&query(expression))?;
    let answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    answer
        .pointer("/data/result/0/value/1")
        .and_then(Value::as_str)
        .and_then(|value| value.parse().ok())
        .with_context(|| format!("no value of {expression}: {text}"))
}
