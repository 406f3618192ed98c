//! Names, units and labels as Prometheus can take them.
//!
//! The rules are OpenTelemetry's ("Prometheus and OpenMetrics Compatibility") as Prometheus' own
//! translator (prometheus/otlptranslator) carries them out; where they are left is said in
//! [`super`]. Pure.

use crate::model::{Kind, Unit};

/// Units of UCUM with the words that Prometheus has for them. `B` is what plugins write for bytes.
const UNITS: [(&str, &str); 27] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("B", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// The same behind a slash.
const PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// A name for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name of the samples; that of a counter ends in `_total` where the rules make the name.
    pub name: String,
    /// The unit in words, empty when there is none.
    pub unit: String,
}

/// The name of a series without its tags and without what is in its brackets; `None` when nothing
/// is left of it. `from_plugin` says who gave it.
pub fn converted(name: &str, kind: Kind, unit: Unit, from_plugin: bool) -> Option<Name> {
    let (main, per) = unit_words(unit);
    let unit_name = [main.as_str(), per.as_str()]
        .iter()
        .filter(|word| !word.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join("_");
    if from_plugin && is_name(name) {
        return Some(Name {
            name: name.to_owned(),
            unit: unit_name,
        });
    }
    let mut words: Vec<&str> = name
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return None;
    }
    if kind != Kind::Counter && words.len() > 1 && words.last() == Some(&"total") {
        words.pop();
    }
    if per == "per_second" && words.ends_with(&["in", "sec"]) {
        // ZaLua's way to say the same: `system.disk.read_bytes_in_sec[/]`.
        words.truncate(words.len() - 2);
    }
    let is_info = words.last() == Some(&"info");
    for word in [main.as_str(), per.as_str()] {
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    let mut unit_name = unit_name;
    if kind == Kind::Counter {
        words.retain(|word| *word != "total");
        words.push("total");
    } else if kind == Kind::Gauge && unit == Unit::ONE && !is_info {
        words.retain(|word| *word != "ratio");
        words.push("ratio");
        "ratio".clone_into(&mut unit_name);
    }
    let mut joined = words.join("_");
    if joined.starts_with(|first: char| first.is_ascii_digit()) {
        joined.insert(0, '_');
    }
    Some(Name {
        name: joined,
        unit: unit_name,
    })
}

/// The unit and what it is per, in words: `By/s` is `bytes` and `per_second`.
fn unit_words(unit: Unit) -> (String, String) {
    let (main, per) = match unit.as_str().split_once('/') {
        Some((main, per)) => (main, Some(per)),
        None => (unit.as_str(), None),
    };
    let per = per
        .map(|per| word(per, &PER))
        .filter(|per| !per.is_empty())
        .map_or_else(String::new, |per| format!("per_{per}"));
    (word(main, &UNITS), per)
}

fn word(unit: &str, known: &[(&str, &str)]) -> String {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return String::new();
    }
    if let Some((_, word)) = known.iter().find(|(short, _)| *short == unit) {
        return (*word).to_owned();
    }
    let parts = unit.split(|character: char| !character.is_ascii_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

/// Whether Prometheus takes it as the name of a metric.
pub fn is_name(text: &str) -> bool {
    !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

/// Whether Prometheus takes it as the name of a label. Two underscores at the beginning are its own.
pub fn is_label(text: &[u8]) -> bool {
    let (Some(first), rest) = (text.first(), text.get(1..).unwrap_or_default()) else {
        return false;
    };
    (first.is_ascii_alphabetic() || *first == b'_')
        && !text.starts_with(b"__")
        && rest
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// A name that Prometheus takes as the name of a label.
pub fn label(text: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() {
            character
        } else {
            '_'
        }
    };
    let mut label: String = text.chars().map(plain).collect();
    if label.is_empty() || label.starts_with(|first: char| first.is_ascii_digit()) {
        label.insert_str(0, "key_");
    } else if label.starts_with("__") {
        label.insert_str(0, "key");
    }
    label
}

/// The name before the brackets and what is in them: `used[/]` is `used` and `/`.
pub fn brackets(name: &str) -> (&str, Option<&str>) {
    name.strip_suffix(']')
        .and_then(|rest| rest.split_once('['))
        .filter(|(name, _)| !name.is_empty())
        .map_or((name, None), |(name, key)| (name, Some(key)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn native(name: &str, kind: Kind, unit: &'static str) -> String {
        converted(name, kind, Unit::new(unit), false).unwrap().name
    }

    #[test]
    fn opentelemetry_s_own_examples() {
        for (name, kind, unit, expected) in [
            (
                "system.filesystem.usage",
                Kind::Gauge,
                "By",
                "system_filesystem_usage_bytes",
            ),
            (
                "system.network.dropped",
                Kind::Counter,
                "{packets}",
                "system_network_dropped_total",
            ),
            (
                "system.memory.utilization",
                Kind::Gauge,
                "1",
                "system_memory_utilization_ratio",
            ),
            (
                "(lambda).function.executions(#)",
                Kind::Gauge,
                "",
                "lambda_function_executions",
            ),
            (
                "system.processes.created",
                Kind::Counter,
                "{process}",
                "system_processes_created_total",
            ),
            (
                "astro.light.speed_limit",
                Kind::Gauge,
                "m/s",
                "astro_light_speed_limit_meters_per_second",
            ),
            ("requests", Kind::Counter, "{request}", "requests_total"),
            ("speed", Kind::Gauge, "{request}/s", "speed_per_second"),
            (
                "system.network.speed",
                Kind::Gauge,
                "bit/s",
                "system_network_speed_bit_per_second",
            ),
            (
                "http.server.duration",
                Kind::Histogram,
                "s",
                "http_server_duration_seconds",
            ),
        ] {
            assert_eq!(native(name, kind, unit), expected);
        }
    }

    #[test]
    fn nothing_is_said_twice() {
        assert_eq!(native("a.seconds", Kind::Gauge, "s"), "a_seconds");
        assert_eq!(native("a.bytes.b", Kind::Gauge, "By"), "a_bytes_b");
        assert_eq!(native("a.total", Kind::Counter, "By"), "a_bytes_total");
        assert_eq!(native("a.ratio", Kind::Gauge, "1"), "a_ratio");
        assert_eq!(native("a.total", Kind::Gauge, ""), "a");
        assert_eq!(native("total", Kind::Gauge, ""), "total");
        assert_eq!(native("disk.info", Kind::Gauge, "1"), "disk_info");
        assert_eq!(native("2fa", Kind::Gauge, ""), "_2fa");
        assert_eq!(converted("[%]", Kind::Gauge, Unit::NONE, false), None);
    }

    #[test]
    fn a_name_that_fits_and_comes_from_a_plugin_stays() {
        let name = |name, kind, unit| converted(name, kind, unit, true).unwrap();
        let kept = name("system_disk_utilization", Kind::Gauge, Unit::PERCENT);
        assert_eq!(kept.name, "system_disk_utilization");
        assert_eq!(kept.unit, "percent");
        assert_eq!(name("a:b", Kind::Counter, Unit::NONE).name, "a:b");
        assert_eq!(name("a.b", Kind::Counter, Unit::NONE).name, "a_b_total");
        assert_eq!(
            name("system.cpu.0.user", Kind::Gauge, Unit::NONE).name,
            "system_cpu_0_user"
        );
        let speed = name(
            "system.disk.read_bytes_in_sec",
            Kind::Gauge,
            Unit::new("1/s"),
        );
        assert_eq!(speed.name, "system_disk_read_bytes_per_second");
    }

    #[test]
    fn brackets_are_taken_off_the_end() {
        assert_eq!(brackets("used[/]"), ("used", Some("/")));
        assert_eq!(brackets("used[a[b]]"), ("used", Some("a[b]")));
        assert_eq!(brackets("used"), ("used", None));
        assert_eq!(brackets("[x]"), ("[x]", None));
        assert_eq!(brackets("a[b]c"), ("a[b]c", None));
    }

    #[test]
    fn labels_are_made_to_fit() {
        for (text, expected) in [
            ("device", "device"),
            ("http.method", "http_method"),
            ("0", "key_0"),
            ("__name__", "key__name__"),
            ("a-b", "a_b"),
        ] {
            assert_eq!(label(text), expected);
            assert_eq!(is_label(text.as_bytes()), text == expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_name_and_label_fits(
            name in ".{1,40}",
            unit in "[a-zA-Z0-9{}/%.]{0,8}",
            kind in 0..3_usize,
            from_plugin: bool,
        ) {
            let kind = [Kind::Gauge, Kind::Counter, Kind::Histogram][kind];
            let unit: &'static str = Box::leak(unit.into_boxed_str());
            if let Some(made) = converted(&name, kind, Unit::new(unit), from_plugin) {
                prop_assert!(is_name(&made.name), "{}", made.name);
                let with_unit = format!("x_{}", made.unit);
                prop_assert!(is_name(&with_unit), "{}", with_unit);
                if kind == Kind::Counter && !(from_plugin && is_name(&name)) {
                    prop_assert!(made.name.ends_with("_total"));
                }
            }
            prop_assert!(is_label(label(&name).as_bytes()));
        }
    }
}
