//! ZaLua's lines and numbers.

use std::fmt::Write;

use super::super::control::readings::Times;
use crate::model::{Unit, Value};
use crate::store::Reading;
use crate::telemetry::{PartStatus, Room, Verdict};

/// A value as ZaLua's `metrics.set` stores it: words as they are, numbers with two decimals or,
/// when they are smaller than a hundredth, with six. A speed, whose unit ends in `/s`, is as
/// `metrics.set_speed` stores it: then there are four in place of six. A histogram is its count.
pub fn value(value: &Value, unit: Unit) -> String {
    let speed = is_speed(unit);
    match value {
        Value::Text(text) => text.to_string(),
        // Not by way of a float, which holds whole numbers only up to 2^53.
        Value::Unsigned(0) if speed => "0.0000".to_owned(),
        Value::Unsigned(0) => "0.000000".to_owned(),
        Value::Unsigned(whole) => format!("{whole}.00"),
        Value::Float(float) if speed => self::speed(*float),
        Value::Float(float) => number(*float),
        Value::Histogram(histogram) => number(histogram.count as f64),
    }
}

/// Whether numbers of the unit are speeds to ZaLua: `1/s`, `By/s`, `{packet}/s`.
pub fn is_speed(unit: Unit) -> bool {
    unit.as_str().ends_with("/s")
}

/// A number with two decimals, or six below a hundredth; rounded half to even on the binary value,
/// as C's `printf` rounds.
pub fn number(number: f64) -> String {
    decimals(number, 6)
}

/// The same with four decimals below a hundredth.
pub fn speed(number: f64) -> String {
    decimals(number, 4)
}

fn decimals(number: f64, small: usize) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if number.abs() < 0.01 {
        format!("{number:.small$}")
    } else {
        format!("{number:.2}")
    }
}

/// One line of the list of metrics, without a line feed: name, tags, value, time of the value.
pub fn metric_line(reading: &Reading, times: Times) -> String {
    let mut line = String::with_capacity(96);
    line.push_str(reading.series.name());
    line.push('\t');
    for (index, (tag, value)) in reading.series.tags().iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        line.extend([space, tag, "=", value]);
    }
    line.push_str("\t\t");
    line.push_str(&value(&reading.value, reading.unit));
    // Writing to a string cannot fail.
    write!(line, "\t\t{:.0}", times.wall_seconds(reading).floor()).ok();
    line
}

/// One line of the list of plugins, without a line feed: file, whether it runs, its error.
pub fn plugin_line(part: &PartStatus) -> String {
    let runs = [
        Verdict::Starting.as_str(),
        Verdict::Active.as_str(),
        "degraded",
    ]
    .contains(&part.verdict);
    let error = part.reason.as_deref().map_or("<no error>", str::trim);
    format!("{}\t\t{runs}\t\t{error}", part.name)
}

/// The lists: lines in the order of their bytes, with line feeds between.
pub fn join(mut lines: Vec<String>) -> String {
    lines.sort_unstable();
    lines.join("\n")
}

/// The plugins among all parts, as the list shows them.
pub fn plugins(parts: &[PartStatus]) -> String {
    let plugins = parts.iter().filter(|part| part.room == Room::Plugin);
    join(plugins.map(plugin_line).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Batch, Clock, Glob};
    use crate::store::{Store, StoreLimits};
    use crate::telemetry::StatusBoard;

    #[test]
    fn zalua_25_numbers_have_two_or_six_decimals() {
        for (float, expected) in [
            (0.0, "0.000000"),
            (0.005, "0.005000"),
            (0.009_999_9, "0.010000"),
            (0.01, "0.01"),
            (-0.009, "-0.009000"),
            (1.0, "1.00"),
            (2.675, "2.67"),
            (1_234_567.891, "1234567.89"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(float), expected);
        }
        assert_eq!(
            value(&u64::MAX.into(), Unit::ONE),
            "18446744073709551615.00"
        );
        assert_eq!(value(&0_u64.into(), Unit::ONE), "0.000000");
        assert_eq!(value(&"  words ".into(), Unit::ONE), "  words ");
    }

    #[test]
    fn zalua_25_speeds_have_two_or_four_decimals() {
        for (float, expected) in [
            (0.0, "0.0000"),
            (0.005, "0.0050"),
            (-0.009, "-0.0090"),
            (0.009_999_9, "0.0100"),
            (0.01, "0.01"),
            (2.675, "2.67"),
            (1_234_567.891, "1234567.89"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(speed(float), expected);
            assert_eq!(value(&float.into(), Unit::new("1/s")), expected);
            assert_eq!(value(&float.into(), Unit::new("By/s")), expected);
        }
        assert_eq!(value(&0_u64.into(), Unit::new("{packet}/s")), "0.0000");
        assert_eq!(value(&7_u64.into(), Unit::new("1/s")), "7.00");
        // A duration is no speed.
        assert_eq!(value(&0.0.into(), Unit::SECONDS), "0.000000");
        assert_eq!(value(&"0".into(), Unit::new("1/s")), "0");
    }

    #[test]
    fn lines_have_the_old_programs_tabs() {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_millis(1_541_000_000_900));
        let store = Store::new(clock.clone(), StoreLimits::default());
        let mut batch = Batch::new();
        batch.gauge("a", &[], Unit::ONE, 1.0);
        batch.gauge("a", &[("x", "1"), ("b", "2 3")], Unit::ONE, 2.0);
        store.put("test", &batch, None);
        let times = Times::now(&clock);
        let readings = store.scan(&Glob::new("*"));
        let lines = readings.iter().map(|reading| metric_line(reading, times));
        assert_eq!(
            join(lines.collect()),
            "a\t\t\t1.00\t\t1541000000\na\tb=2 3 x=1\t\t2.00\t\t1541000000"
        );
    }

    #[test]
    fn plugin_lines_tell_running_and_error() {
        let board = StatusBoard::new();
        board.part(Room::Plugin, "/b.lua", Verdict::Failed(" boom\n ".into()));
        board.part(Room::Plugin, "/a.lua", Verdict::Active);
        board.part(Room::Collector, "cpu", Verdict::Active);
        assert_eq!(
            plugins(&board.statuses()),
            "/a.lua\t\ttrue\t\t<no error>\n/b.lua\t\tfalse\t\tboom"
        );
    }

    proptest! {
        #[test]
        fn every_number_reads_back_near(float in -1e9_f64..1e9) {
            let read: f64 = number(float).parse().unwrap();
            prop_assert!((read - float).abs() <= 0.005_001);
        }
    }
}
