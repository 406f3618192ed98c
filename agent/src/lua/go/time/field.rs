//! The parts of a value: numbers, names and zones.

use super::chunk::Offset;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Whether a digit stands at an index.
pub(super) fn digit_at(value: &[u8], at: usize) -> bool {
    value.get(at).is_some_and(u8::is_ascii_digit)
}

/// Takes exactly so many digits, at most nine.
pub(super) fn digits(value: &mut &[u8], count: usize) -> Option<u32> {
    let (digits, rest) = value.split_at_checked(count)?;
    let number = digits.iter().try_fold(0_u32, |number, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    *value = rest;
    Some(number)
}

/// Takes one or two digits, or exactly two when `both` is set.
pub(super) fn number(value: &mut &[u8], both: bool) -> Option<u32> {
    let count = if both || digit_at(value, 1) { 2 } else { 1 };
    digits(value, count)
}

/// Takes the name of a month, in small or capital letters; 1 is January.
pub(super) fn month(value: &mut &[u8], long: bool) -> Option<u32> {
    let index = name(value, &MONTHS, long)?;
    u32::try_from(index + 1).ok()
}

/// Takes the name of a day of the week.
pub(super) fn weekday(value: &mut &[u8], long: bool) -> Option<()> {
    name(value, &WEEKDAYS, long).map(|_| ())
}

fn name(value: &mut &[u8], names: &[&str], long: bool) -> Option<usize> {
    for (index, name) in names.iter().enumerate() {
        let name = if long { name } else { name.get(..3)? };
        if let Some((start, rest)) = value.split_at_checked(name.len())
            && start.eq_ignore_ascii_case(name.as_bytes())
        {
            *value = rest;
            return Some(index);
        }
    }
    None
}

/// Takes `AM` or `PM`; tells whether it is after noon.
pub(super) fn after_noon(value: &mut &[u8], morning: &[u8], afternoon: &[u8]) -> Option<bool> {
    let (half, rest) = value.split_at_checked(2)?;
    let is_after = half == afternoon;
    if !is_after && half != morning {
        return None;
    }
    *value = rest;
    Some(is_after)
}

/// Takes a distance from UTC, in seconds.
pub(super) fn offset(value: &mut &[u8], form: Offset) -> Option<i64> {
    let mut rest = *value;
    if form.zulu
        && let [b'Z', after @ ..] = rest
    {
        *value = after;
        return Some(0);
    }
    let (sign, after) = rest.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    rest = after;
    let mut seconds = 0;
    for (part, unit) in [3600, 60, 1].into_iter().take(form.parts).enumerate() {
        if form.colons && part > 0 {
            rest = rest.strip_prefix(b":")?;
        }
        seconds += i64::from(digits(&mut rest, 2)?) * unit;
    }
    *value = rest;
    Some(sign * seconds)
}

/// Takes the name of a zone: three to five capital letters.
pub(super) fn zone(value: &mut &[u8]) -> Option<()> {
    let length = zone_length(value)?;
    *value = value.get(length..)?;
    Some(())
}

fn zone_length(value: &[u8]) -> Option<usize> {
    if value.starts_with(b"UTC") {
        return Some(3);
    }
    // The only names with a small letter.
    if value.starts_with(b"ChST") || value.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(after) = value.strip_prefix(b"GMT") {
        return Some(3 + hours(after));
    }
    match value
        .iter()
        .take(6)
        .take_while(|byte| byte.is_ascii_uppercase())
        .count()
    {
        3 => Some(3),
        4 => (value.get(3) == Some(&b'T') || value.starts_with(b"WITA")).then_some(4),
        5 => (value.get(4) == Some(&b'T')).then_some(5),
        _ => None,
    }
}

/// The length of the hours after `GMT`, -14 to +12; zero when there are none.
fn hours(text: &[u8]) -> usize {
    let most = match text.first() {
        Some(b'+') => 12,
        Some(b'-') => 14,
        _ => return 0,
    };
    let count = text
        .iter()
        .skip(1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let mut rest = text.get(1..).unwrap_or_default();
    // A number with more than nine digits is out of range, unless all but two are zeros.
    match digits(&mut rest, count) {
        Some(number) if (1..=most).contains(&number) => count + 1,
        _ => 0,
    }
}
