//! What a person sees who starts the service by hand: what it serves, and how to ask it.

use std::io::{IsTerminal as _, Write as _};

use super::service::Service;
use crate::telemetry::{PartStatus, Room};

/// Prints the banner to standard output.
pub(super) fn show(service: &Service) {
    let text = text(service);
    let mut out = std::io::stdout().lock();
    let bold = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (on, off) = if bold {
        ("\u{1b}[1m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    let title = format!("{on}Moonward {}{off}", env!("CARGO_PKG_VERSION"));
    // Whoever closed the terminal does not want to read it.
    if writeln!(out, "{title}: {}\n{text}", service.headline()).is_err() {}
}

fn text(service: &Service) -> String {
    let socket = &service.control_path;
    let mut lines = vec![format!("\n  control socket  {socket}")];
    for door in service.zabbix.doors.iter() {
        lines.push(format!("  Zabbix          {}", door.address()));
    }
    for door in service.http.doors.iter() {
        lines.push(format!("  HTTP            {}", door.address()));
    }
    lines.extend(troubles(&service.board.statuses()));
    lines.push("\nAsk it from another terminal:\n".to_owned());
    let client = client();
    for (words, what) in [
        ("status", "every part with its verdict and cost"),
        ("metrics 'system.disk.*'", "values by pattern"),
        ("get 'system.cpu.load_average{period=1m}'", "one value"),
    ] {
        lines.push(format!("  {:52} {what}", format!("{client} {words}")));
    }
    if let Some(door) = service.zabbix.doors.first() {
        let address = door.address();
        let command = format!(
            "zabbix_get -s {} -p {} -k system.uptime",
            address.ip(),
            address.port()
        );
        lines.push(format!("  {command:52} as a Zabbix server does"));
    }
    if let Some(door) = service.http.doors.first() {
        let command = format!("curl http://{}/metrics", door.address());
        lines.push(format!("  {command:52} as Prometheus does"));
    }
    lines.push("\nControl-C ends it.".to_owned());
    lines.join("\n")
}

/// How the client is called: by its name where the shell finds it, else by its path beside the
/// agent.
fn client() -> String {
    const NAME: &str = "moonward";
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(NAME).is_file())
    });
    let beside = std::env::current_exe()
        .ok()
        .map(|agent| agent.with_file_name(NAME));
    let Some(path) = beside.filter(|beside| !found && beside.is_file()) else {
        return NAME.to_owned();
    };
    let below = std::env::current_dir()
        .ok()
        .and_then(|here| Some(path.strip_prefix(here).ok()?.to_owned()));
    below.unwrap_or(path).display().to_string()
}

/// One line for each reason why something does not work, with everything that it concerns. The
/// programs of a probe (`block.block_rq_complete`) are behind the probe itself.
fn troubles(parts: &[PartStatus]) -> Vec<String> {
    let mut reasons: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for part in parts {
        let Some(reason) = &part.reason else { continue };
        if part.room == Room::Probe && part.name.contains('.') {
            continue;
        }
        let known = reasons
            .iter_mut()
            .find(|(verdict, known, _)| *verdict == part.verdict && known == reason);
        let name = format!("{} {}", part.room.as_str(), part.name);
        match known {
            Some((_, _, names)) => names.push(name),
            None => reasons.push((part.verdict, reason, vec![name])),
        }
    }
    let line = |(verdict, reason, names): &(&str, &str, Vec<String>)| {
        format!("  {verdict:15} {}: {reason}", names.join(", "))
    };
    reasons.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{StatusBoard, Verdict};

    #[test]
    fn one_reason_is_one_line() {
        let board = StatusBoard::new();
        let missing = || Verdict::Unsupported("CAP_BPF is missing".into());
        for name in [
            "block",
            "block.block_rq_complete",
            "tcp",
            "tcp.tcp_send_reset",
        ] {
            board.part(Room::Probe, name, missing());
        }
        board.part(Room::Collector, "cpu", Verdict::Active);
        board.part(
            Room::Door,
            "zabbix",
            Verdict::Failed("the port is taken".into()),
        );
        assert_eq!(
            troubles(&board.statuses()),
            [
                "  unsupported     probe block, probe tcp: CAP_BPF is missing",
                "  failed          door zabbix: the port is taken",
            ]
        );
    }
}
