//! From a layout and a value to a time.

use super::chunk::{self, Chunk};
use super::date;
use super::field;

/// The longest layout and the longest value, in bytes.
pub const TEXT_MAX: usize = 4096;

/// A time: seconds since 1970-01-01T00:00:00Z, negative before, and nanoseconds after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Whole seconds.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// A value that is no time of the layout. The text is Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A part of the value does not fit its part of the layout.
    #[error("parsing time \"{value}\" as \"{layout}\": cannot parse \"{rest}\" as \"{element}\"")]
    Mismatch {
        /// The layout, as it was given.
        layout: String,
        /// The value, as it was given.
        value: String,
        /// The value from where it does not fit.
        rest: String,
        /// The part of the layout that it does not fit.
        element: String,
    },
    /// A part of the value is not a possible one.
    #[error("parsing time \"{value}\": {problem}")]
    Value {
        /// The value, as it was given.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// Layout or value are longer than [`TEXT_MAX`].
    #[error("parsing time: layout or value longer than {TEXT_MAX} bytes")]
    TooLong,
}

/// What is wrong with a part of the value.
enum Wrong {
    Form,
    Range(&'static str),
}

/// The parts that were found so far.
#[derive(Default)]
struct Parts {
    year: i64,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanoseconds: u32,
    after_noon: Option<bool>,
    /// Seconds east of UTC.
    offset: i64,
}

/// Reads a value that is written like the layout.
///
/// # Errors
/// When it is not, or when it is no date of the calendar.
pub fn parse(layout: &[u8], value: &[u8]) -> Result<Timestamp, ParseError> {
    if layout.len() > TEXT_MAX || value.len() > TEXT_MAX {
        return Err(ParseError::TooLong);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mismatch = |rest: &[u8], element: &[u8]| ParseError::Mismatch {
        layout: text(layout),
        value: text(value),
        rest: text(rest),
        element: text(element),
    };
    let problem = |problem: String| ParseError::Value {
        value: text(value),
        problem,
    };
    let mut parts = Parts::default();
    let (mut layout_rest, mut rest) = (layout, value);
    loop {
        let split = chunk::next(layout_rest);
        if !skip(&mut rest, split.before) {
            return Err(mismatch(rest, split.before));
        }
        let Some(chunk) = split.chunk else {
            if !rest.is_empty() {
                return Err(problem(format!("extra text: {}", text(rest))));
            }
            break;
        };
        layout_rest = split.after;
        match parts.take(chunk, &mut rest, layout_rest) {
            Ok(()) => {}
            Err(Wrong::Form) => return Err(mismatch(rest, split.text)),
            Err(Wrong::Range(what)) => return Err(problem(format!("{what} out of range"))),
        }
    }
    parts.timestamp().map_err(|what| problem(what.to_owned()))
}

/// Takes plain text of a layout from the value. Spaces of the layout are any number of spaces,
/// and at the end of the value none. What was found is taken even when the rest is missing.
fn skip(value: &mut &[u8], text: &[u8]) -> bool {
    let mut text = text;
    while let Some((first, rest)) = text.split_first() {
        if *first == b' ' {
            if value.first().is_some_and(|byte| *byte != b' ') {
                return false;
            }
            text = without_spaces(text);
            *value = without_spaces(value);
            continue;
        }
        let Some(after) = value.strip_prefix(&[*first]) else {
            return false;
        };
        *value = after;
        text = rest;
    }
    true
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    text.get(spaces..).unwrap_or_default()
}

impl Parts {
    /// Takes one chunk from the value; `layout` is what follows it in the layout. On an error the
    /// value stands where the wrong part begins.
    fn take(&mut self, chunk: Chunk, value: &mut &[u8], layout: &[u8]) -> Result<(), Wrong> {
        let form = Wrong::Form;
        let within = |number: u32, least: u32, most: u32, what: &'static str| {
            let fits = (least..=most).contains(&number);
            fits.then_some(number).ok_or(Wrong::Range(what))
        };
        match chunk {
            Chunk::LongYear => self.year = field::digits(value, 4).ok_or(form)?.into(),
            Chunk::Year => {
                let year = field::digits(value, 2).ok_or(form)?;
                self.year = i64::from(year) + if year >= 69 { 1900 } else { 2000 };
            }
            Chunk::LongMonth | Chunk::Month => {
                let long = chunk == Chunk::LongMonth;
                self.month = Some(field::month(value, long).ok_or(form)?);
            }
            Chunk::MonthNumber { both } => {
                let month = field::number(value, both).ok_or(form)?;
                self.month = Some(within(month, 1, 12, "month")?);
            }
            Chunk::LongWeekday | Chunk::Weekday => {
                field::weekday(value, chunk == Chunk::LongWeekday).ok_or(form)?;
            }
            // Whether the month has such a day is known at the end.
            Chunk::Day { both } => self.day = Some(field::number(value, both).ok_or(form)?),
            Chunk::PaddedDay => {
                *value = value.strip_prefix(b" ").unwrap_or(value);
                self.day = Some(field::number(value, false).ok_or(form)?);
            }
            Chunk::YearDay { padded } => {
                let spaces = if padded {
                    value.len() - without_spaces(value).len()
                } else {
                    0
                };
                let mut rest = value.get(spaces.min(2)..).unwrap_or_default();
                let number = field::digits(&mut rest, 3 - spaces.min(2));
                self.year_day = Some(number.ok_or(form)?);
                *value = rest;
            }
            Chunk::Hour => {
                let hour = field::number(value, false).ok_or(form)?;
                self.hour = within(hour, 0, 23, "hour")?;
            }
            Chunk::Hour12 { both } => {
                let hour = field::number(value, both).ok_or(form)?;
                self.hour = within(hour, 0, 12, "hour")?;
            }
            Chunk::Minute { both } => {
                let minute = field::number(value, both).ok_or(form)?;
                self.minute = within(minute, 0, 59, "minute")?;
            }
            Chunk::Second { both } => {
                let second = field::number(value, both).ok_or(form)?;
                self.second = within(second, 0, 59, "second")?;
                let next = chunk::next(layout).chunk;
                let has_own = matches!(next, Some(Chunk::Fraction(_) | Chunk::OptionalFraction));
                // A value may have a fraction that the layout does not.
                if !has_own {
                    self.fraction(value);
                }
            }
            Chunk::Fraction(count) => {
                let (digits, rest) = value.split_at_checked(count + 1).ok_or(Wrong::Form)?;
                let mut fraction = digits;
                if !self.fraction(&mut fraction) || !fraction.is_empty() {
                    return Err(form);
                }
                *value = rest;
            }
            Chunk::OptionalFraction => {
                self.fraction(value);
            }
            Chunk::UpperHalf => {
                self.after_noon = Some(field::after_noon(value, b"AM", b"PM").ok_or(form)?);
            }
            Chunk::LowerHalf => {
                self.after_noon = Some(field::after_noon(value, b"am", b"pm").ok_or(form)?);
            }
            Chunk::ZoneName => field::zone(value).ok_or(form)?,
            Chunk::Offset(offset) => self.offset = field::offset(value, offset).ok_or(form)?,
        }
        Ok(())
    }

    /// Takes a point and all digits after it, of which nine count; tells whether there were any.
    fn fraction(&mut self, value: &mut &[u8]) -> bool {
        let Some(after) = value.strip_prefix(b".") else {
            return false;
        };
        let count = after
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = after.split_at_checked(count).unwrap_or_default();
        let nine = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
        self.nanoseconds = nine.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if count > 0 {
            *value = rest;
        }
        count > 0
    }

    /// The time of all parts together.
    fn timestamp(&self) -> Result<Timestamp, &'static str> {
        let hour = match self.after_noon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let (month, day) = match self.year_day {
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
            Some(year_day) => {
                let found = date::month_and_day(year_day, self.year);
                let (month, day) = found.ok_or("day-of-year out of range")?;
                if self.month.is_some_and(|other| other != month) {
                    return Err("day-of-year does not match month");
                }
                if self.day.is_some_and(|other| other != day) {
                    return Err("day-of-year does not match day");
                }
                (month, day)
            }
        };
        if day < 1 || day > date::days_in(month, self.year) {
            return Err("day out of range");
        }
        let time = hour * 3600 + self.minute * 60 + self.second;
        let days = date::days_since_1970(self.year, month, day);
        Ok(Timestamp {
            seconds: days * 86_400 + i64::from(time) - self.offset,
            nanoseconds: self.nanoseconds,
        })
    }
}
