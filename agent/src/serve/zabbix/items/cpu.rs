//! `system.cpu.*`.

use std::fmt::Write as _;

use super::catalogue::Catalogue;
use super::history::{Growth, Window};
use super::table::{Items, Outcome, invalid, missing};
use super::text;
use crate::collect::cpu::MODES;
use crate::serve::zabbix::answer::{NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;

const NO_CPU: &str = "Cannot obtain CPU information.";

fn time_series(cpu: Option<&str>, mode: &str) -> String {
    match cpu {
        Some(cpu) => format!("system.cpu.time{{cpu=\"{cpu}\",mode=\"{mode}\"}}"),
        None => format!("system.cpu.time{{mode=\"{mode}\"}}"),
    }
}

/// The counters whose past `system.cpu.util` needs.
pub(super) fn followed(catalogue: &Catalogue) -> impl Iterator<Item = String> {
    let cpus = catalogue.cpus.iter().map(|cpu| Some(cpu.to_string()));
    std::iter::once(None)
        .chain(cpus)
        .flat_map(|cpu| MODES.map(|mode| time_series(cpu.as_deref(), mode)))
}

pub(super) fn load(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let per_cpu = match key.or(0, "all") {
        "all" => false,
        "percpu" => true,
        _ => return Err(invalid(1)),
    };
    let series = match key.or(1, "avg1") {
        "avg1" => "system.cpu.load_average{period=\"1m\"}",
        "avg5" => "system.cpu.load_average{period=\"5m\"}",
        "avg15" => "system.cpu.load_average{period=\"15m\"}",
        _ => return Err(invalid(2)),
    };
    let mut load = items
        .number(series)
        .ok_or(missing("Cannot obtain load average."))?;
    if per_cpu {
        let cpus = items
            .number("system.cpu.logical.count")
            .filter(|count| *count >= 1.0);
        load /= cpus.ok_or(missing("Cannot obtain number of CPUs."))?;
    }
    text::float(out, load);
    Ok(())
}

pub(super) fn number(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    match key.or(0, "online") {
        "online" => {}
        "max" => return Err(Refusal::Slow),
        _ => return Err(invalid(1)),
    }
    let count = items.whole("system.cpu.logical.count");
    text::whole(out, count.ok_or(missing("Cannot obtain number of CPUs."))?);
    Ok(())
}

/// `system.cpu.num[max]`: the CPUs that are configured, offline ones too.
#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn number_configured(
    items: &Items,
    _: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let names = items.root.names("/sys/devices/system/cpu");
    let is_cpu = |name: &&String| {
        name.strip_prefix("cpu")
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    text::whole(out, names.iter().filter(is_cpu).count() as u64);
    Ok(())
}

pub(super) fn utilization(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let cpu = match key.or(0, "all") {
        "all" => None,
        number => Some(number.parse::<u32>().map_err(|_| invalid(1))?.to_string()),
    };
    let mode = key.or(1, "user");
    if !MODES.contains(&mode) {
        return Err(invalid(2));
    }
    let window = Window::parse(key.or(2, "avg1")).ok_or(invalid(3))?;
    let history = items.history();
    let growth = |mode: &str| history.growth(&time_series(cpu.as_deref(), mode), window);
    // Old kernels lack the guest modes; a CPU without `user` is not there.
    growth("user").ok_or(missing(NO_CPU))?;
    let by = |mode: &str| growth(mode).map_or(0.0, |Growth { by, .. }| by);
    // Guest time is part of user time: count it once.
    let own = |mode: &str| match mode {
        "user" => (by("user") - by("guest")).max(0.0),
        "nice" => (by("nice") - by("guest_nice")).max(0.0),
        other => by(other),
    };
    let total: f64 = MODES.iter().map(|mode| own(mode)).sum();
    text::float(
        out,
        if total > 0.0 {
            100.0 * own(mode) / total
        } else {
            0.0
        },
    );
    Ok(())
}

pub(super) fn interrupts(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    counter(items, "system.cpu.interrupts", out)
}

pub(super) fn switches(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    counter(items, "system.cpu.context_switches", out)
}

fn counter(items: &Items, series: &str, out: &mut String) -> Outcome {
    text::whole(out, items.whole(series).ok_or(missing(NO_CPU))?);
    Ok(())
}

pub(super) fn discovery(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let catalogue = items.catalogue();
    if catalogue.cpus.is_empty() {
        return Err(missing(NO_CPU));
    }
    let mut separator = '[';
    for cpu in &catalogue.cpus {
        out.push(separator);
        separator = ',';
        write!(
            out,
            "{{\"{{#CPU.NUMBER}}\":{cpu},\"{{#CPU.STATUS}}\":\"online\"}}"
        )
        .unwrap_or_default();
    }
    out.push(']');
    Ok(())
}
