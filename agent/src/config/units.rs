//! Durations and sizes as people write them, read and printed.
//!
//! A number without a unit is refused: nobody should have to guess whether `10` means seconds or
//! milliseconds.

use std::fmt::Write as _;
use std::time::Duration;

/// The units of time with their nanoseconds, from the largest.
const TIME: [(&str, u64); 7] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// The units of size with their bytes, from the largest.
const SIZE: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads `500ms`, `10s`, `5m`, `1h30m`, `1h 30m`: whole numbers, each with a unit, from large to
/// small.
/// The error says what does not read.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = number(rest)?;
        let end = after
            .find(|character: char| character.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end).unwrap_or((after, ""));
        let factor = factor(&TIME, number, unit, "time: w, d, h, m, s, ms, us")?;
        if factor >= smallest {
            return Err(format!("{unit:?} comes after a unit that is not larger"));
        }
        smallest = factor;
        total = number
            .checked_mul(factor)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| "it is longer than 584 years".to_owned())?;
        rest = after;
    }
    if smallest == u64::MAX {
        return Err("it is empty".to_owned());
    }
    Ok(Duration::from_nanos(total))
}

/// Prints a duration in the form that [`duration`] reads, down to microseconds.
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in TIME.into_iter().skip(1) {
        if rest >= factor {
            // Writing to a String cannot fail.
            let _infallible = write!(text, "{}{unit}", rest / factor);
            rest %= factor;
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

/// Reads `512B`, `64KiB`, `1MiB`, `2GiB`: one whole number with a unit.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = number(text)?;
    let factor = factor(&SIZE, number, unit, "size: B, KiB, MiB, GiB")?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "it is larger than 16 EiB".to_owned())
}

/// Prints a size in the form that [`size`] reads.
pub fn show_size(bytes: u64) -> String {
    let (unit, factor) = SIZE
        .into_iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

/// The digits at the start of `text` and what follows, without spaces around it.
fn number(text: &str) -> Result<(u64, &str), String> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if digits.is_empty() {
        return Err("it does not start with a whole number".to_owned());
    }
    let number = digits
        .parse()
        .map_err(|_| format!("{digits} is too large"))?;
    Ok((number, rest))
}

fn factor(units: &[(&str, u64)], number: u64, unit: &str, known: &str) -> Result<u64, String> {
    let unit = unit.trim();
    if unit.is_empty() {
        return Err(format!("{number} has no unit of {known}"));
    }
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor)
        .ok_or_else(|| format!("{unit:?} is no unit of {known}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1w", 604_800_000),
            ("1h 30 m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        assert_eq!(show_duration(Duration::from_mins(90)), "1h30m");
        assert_eq!(show_duration(Duration::ZERO), "0s");
        for (text, reason) in [
            ("", "it is empty"),
            ("10", "10 has no unit of time: w, d, h, m, s, ms, us"),
            (
                "10 parsecs",
                "\"parsecs\" is no unit of time: w, d, h, m, s, ms, us",
            ),
            ("-5s", "it does not start with a whole number"),
            ("30m1h", "\"h\" comes after a unit that is not larger"),
            ("1s1s", "\"s\" comes after a unit that is not larger"),
            ("99999999999999999999s", "99999999999999999999 is too large"),
            ("99999999999w", "it is longer than 584 years"),
        ] {
            assert_eq!(duration(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn sizes_read_and_print() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("7B"), Ok(7));
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_size(1_025), "1025B");
        assert_eq!(show_size(0), "0B");
        assert!(size("64KB").is_err());
        assert!(size("64").is_err());
        assert!(size("99999999999GiB").is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(microseconds in 0_u64..u64::MAX / 1_000, bytes: u64) {
            let time = Duration::from_micros(microseconds);
            prop_assert_eq!(duration(&show_duration(time)), Ok(time));
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,40}", digits in "[0-9a-zA-Zµ ]{0,40}") {
            for text in [text, digits] {
                let _read = (duration(&text).is_ok(), size(&text).is_ok());
            }
        }
    }
}
