//! From a layout to its pieces.

/// What stands for a part of the time in a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// `2006`
    LongYear,
    /// `06`
    Year,
    /// `January`
    LongMonth,
    /// `Jan`
    Month,
    /// `1`, or `01` with both digits.
    MonthNumber { both: bool },
    /// `Monday`
    LongWeekday,
    /// `Mon`
    Weekday,
    /// `2`, or `02` with both digits.
    Day { both: bool },
    /// `_2`
    PaddedDay,
    /// `002`, or `__2` with spaces.
    YearDay { padded: bool },
    /// `15`
    Hour,
    /// `3`, or `03` with both digits.
    Hour12 { both: bool },
    /// `4`, or `04` with both digits.
    Minute { both: bool },
    /// `5`, or `05` with both digits.
    Second { both: bool },
    /// `.000`: a point and exactly so many digits.
    Fraction(usize),
    /// `.999`: a point and digits, if there are any.
    OptionalFraction,
    /// `PM`
    UpperHalf,
    /// `pm`
    LowerHalf,
    /// `MST`
    ZoneName,
    /// `-0700` and its kin.
    Offset(Offset),
}

/// How a distance from UTC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    /// Begins with `Z` in the layout: a `Z` is UTC.
    pub(super) zulu: bool,
    pub(super) colons: bool,
    /// 1 for hours, 2 with minutes, 3 with seconds.
    pub(super) parts: usize,
}

/// The forms of a distance after their first character, the longest first.
const OFFSETS: [(&[u8], bool, usize); 5] = [
    (b"070000", false, 3),
    (b"07:00:00", true, 3),
    (b"0700", false, 2),
    (b"07:00", true, 2),
    (b"07", false, 1),
];

/// The first chunk of a layout: the text before it, the chunk, its text and the rest.
pub(super) struct Split<'a> {
    pub(super) before: &'a [u8],
    pub(super) chunk: Option<Chunk>,
    pub(super) text: &'a [u8],
    pub(super) after: &'a [u8],
}

/// Finds the first chunk; without one all of the layout is text before it.
pub(super) fn next(layout: &[u8]) -> Split<'_> {
    for at in 0..layout.len() {
        let (before, rest) = layout.split_at_checked(at).unwrap_or_default();
        let Some((chunk, skipped, length)) = chunk(rest) else {
            continue;
        };
        let before = layout.get(..before.len() + skipped).unwrap_or_default();
        let rest = rest.get(skipped..).unwrap_or_default();
        let (text, after) = rest.split_at_checked(length).unwrap_or_default();
        let chunk = Some(chunk);
        return Split {
            before,
            chunk,
            text,
            after,
        };
    }
    Split {
        before: layout,
        chunk: None,
        text: &[],
        after: &[],
    }
}

/// The chunk at the start of a text, how many characters before it are plain, and its length.
fn chunk(rest: &[u8]) -> Option<(Chunk, usize, usize)> {
    let both = true;
    let found = match rest {
        [b'J', b'a', b'n', b'u', b'a', b'r', b'y', ..] => (Chunk::LongMonth, 7),
        [b'J', b'a', b'n', after @ ..] if !starts_small(after) => (Chunk::Month, 3),
        [b'M', b'o', b'n', b'd', b'a', b'y', ..] => (Chunk::LongWeekday, 6),
        [b'M', b'o', b'n', after @ ..] if !starts_small(after) => (Chunk::Weekday, 3),
        [b'M', b'S', b'T', ..] => (Chunk::ZoneName, 3),
        [b'0', b'1', ..] => (Chunk::MonthNumber { both }, 2),
        [b'0', b'2', ..] => (Chunk::Day { both }, 2),
        [b'0', b'3', ..] => (Chunk::Hour12 { both }, 2),
        [b'0', b'4', ..] => (Chunk::Minute { both }, 2),
        [b'0', b'5', ..] => (Chunk::Second { both }, 2),
        [b'0', b'6', ..] => (Chunk::Year, 2),
        [b'0', b'0', b'2', ..] => (Chunk::YearDay { padded: false }, 3),
        [b'1', b'5', ..] => (Chunk::Hour, 2),
        [b'1', ..] => (Chunk::MonthNumber { both: false }, 1),
        [b'2', b'0', b'0', b'6', ..] => (Chunk::LongYear, 4),
        [b'2', ..] => (Chunk::Day { both: false }, 1),
        // An underscore before a year is only an underscore.
        [b'_', b'2', b'0', b'0', b'6', ..] => return Some((Chunk::LongYear, 1, 4)),
        [b'_', b'2', ..] => (Chunk::PaddedDay, 2),
        [b'_', b'_', b'2', ..] => (Chunk::YearDay { padded: true }, 3),
        [b'3', ..] => (Chunk::Hour12 { both: false }, 1),
        [b'4', ..] => (Chunk::Minute { both: false }, 1),
        [b'5', ..] => (Chunk::Second { both: false }, 1),
        [b'P', b'M', ..] => (Chunk::UpperHalf, 2),
        [b'p', b'm', ..] => (Chunk::LowerHalf, 2),
        [first @ (b'-' | b'Z'), after @ ..] => {
            let is_here = |(text, ..): &&(&[u8], bool, usize)| after.starts_with(text);
            let (text, colons, parts) = OFFSETS.iter().find(is_here)?;
            let (colons, parts, zulu) = (*colons, *parts, *first == b'Z');
            (
                Chunk::Offset(Offset {
                    zulu,
                    colons,
                    parts,
                }),
                text.len() + 1,
            )
        }
        [b'.', digit @ (b'0' | b'9'), ..] => {
            let digits = rest
                .iter()
                .skip(1)
                .take_while(|byte| *byte == digit)
                .count();
            // Another digit right after them means that this is no fraction.
            if rest.get(digits + 1).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            let exact = *digit == b'0';
            let fraction = if exact {
                Chunk::Fraction(digits)
            } else {
                Chunk::OptionalFraction
            };
            (fraction, digits + 1)
        }
        _ => return None,
    };
    Some((found.0, 0, found.1))
}

fn starts_small(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_lowercase)
}
