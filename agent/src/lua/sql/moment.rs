//! Dates and times of MySQL in the form that prepared statements use: a length, then the parts that
//! are not zero.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
//!
//! Pure. Tests: below, and `fuzz/fuzz_targets/sql.rs`.

/// What a value of a type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// A day.
    Date,
    /// A time, which can be negative and longer than a day.
    Time,
    /// A day and a time of it.
    Both,
}

/// The text that the server would have written, in ISO form; `None` when there are too few or too
/// many bytes.
pub fn moment(bytes: &[u8], parts: Parts) -> Option<String> {
    let (&length, rest) = bytes.split_first()?;
    let rest = rest.get(..usize::from(length))?;
    if parts == Parts::Time {
        return time(rest);
    }
    let (year, month, day, clock) = match rest {
        [] => (0, 0, 0, &[][..]),
        [y0, y1, month, day, clock @ ..] => (u16::from_le_bytes([*y0, *y1]), *month, *day, clock),
        _ => return None,
    };
    let date = format!("{year:04}-{month:02}-{day:02}");
    if parts == Parts::Date {
        return Some(date);
    }
    let (hours, rest) = clock_parts(clock)?;
    Some(format!("{date} {hours:02}:{rest}"))
}

fn time(bytes: &[u8]) -> Option<String> {
    let (sign, days, clock) = match bytes {
        [] => (0, 0, &[][..]),
        [sign, d0, d1, d2, d3, clock @ ..] => {
            (*sign, u32::from_le_bytes([*d0, *d1, *d2, *d3]), clock)
        }
        _ => return None,
    };
    let (hours, rest) = clock_parts(clock)?;
    let hours = u64::from(days) * 24 + u64::from(hours);
    let sign = if sign == 0 { "" } else { "-" };
    Some(format!("{sign}{hours:02}:{rest}"))
}

/// Hours, and the text of minutes, seconds and microseconds.
fn clock_parts(clock: &[u8]) -> Option<(u8, String)> {
    match clock {
        [] => Some((0, "00:00".to_owned())),
        [hours, minutes, seconds] => Some((*hours, format!("{minutes:02}:{seconds:02}"))),
        [hours, minutes, seconds, m0, m1, m2, m3] => {
            let micros = u32::from_le_bytes([*m0, *m1, *m2, *m3]);
            Some((*hours, format!("{minutes:02}:{seconds:02}.{micros:06}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_server_would() {
        let noon = [11, 0xe8, 0x07, 11, 20, 12, 5, 9, 0x40, 0xe2, 0x01, 0];
        let leap_day = [4, 0xe8, 0x07, 2, 29];
        for (bytes, parts, expected) in [
            (&noon[..], Parts::Both, "2024-11-20 12:05:09.123456"),
            (&leap_day, Parts::Date, "2024-02-29"),
            (&leap_day, Parts::Both, "2024-02-29 00:00:00"),
            (&[8, 1, 1, 0, 0, 0, 2, 3, 4], Parts::Time, "-26:03:04"),
            (&[0], Parts::Time, "00:00:00"),
            (&[0], Parts::Date, "0000-00-00"),
        ] {
            assert_eq!(moment(bytes, parts).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_moment_of_a_wrong_length_is_refused() {
        for bytes in [
            &[][..],
            &[4, 1],
            &[3, 1, 2, 3],
            &[6, 0, 0, 0, 0, 0, 0],
            &[200],
        ] {
            for parts in [Parts::Both, Parts::Time] {
                assert_eq!(moment(bytes, parts), None, "{bytes:?}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            for parts in [Parts::Date, Parts::Time, Parts::Both] {
                drop(moment(&bytes, parts));
            }
        }
    }
}
