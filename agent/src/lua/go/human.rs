//! How long ago something was, in words: ZaLua's `human.time`.

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// 30 days.
const MONTH: u64 = 30 * DAY;
/// 12 months of 30 days.
const YEAR: u64 = 12 * MONTH;

/// The first row whose limit, in seconds, is above the difference gives the words: a number of
/// units when there is a unit, else the words alone.
const ROWS: [(u64, &str, Option<u64>); 15] = [
    (2, "1 second", None),
    (MINUTE, "seconds", Some(1)),
    (2 * MINUTE, "1 minute", None),
    (HOUR, "minutes", Some(MINUTE)),
    (2 * HOUR, "1 hour", None),
    (DAY, "hours", Some(HOUR)),
    (2 * DAY, "1 day", None),
    (WEEK, "days", Some(DAY)),
    (2 * WEEK, "1 week", None),
    (MONTH, "weeks", Some(WEEK)),
    (2 * MONTH, "1 month", None),
    (YEAR, "months", Some(MONTH)),
    (18 * MONTH, "1 year", None),
    (2 * YEAR, "2 years", None),
    (37 * YEAR, "years", Some(YEAR)),
];

/// The time `then` as seen at `now`, both in seconds of the same clock: `3 minutes ago`,
/// `1 day from now`. Less than a second is `now`, more than 37 years `a long while`.
pub fn time(then: i64, now: i64) -> String {
    let label = if then <= now { "ago" } else { "from now" };
    let difference = then.abs_diff(now);
    if difference == 0 {
        return "now".to_owned();
    }
    match ROWS.iter().find(|(limit, ..)| difference < *limit) {
        None => format!("a long while {label}"),
        Some((_, words, None)) => format!("{words} {label}"),
        Some((_, words, Some(unit))) => format!("{} {words} {label}", difference / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zalua_57_boundaries_of_the_table() {
        const NOW: i64 = 1_541_000_000;
        let day = 86_400;
        for (difference, expected) in [
            (1, "1 second ago"),
            (2, "2 seconds ago"),
            (59, "59 seconds ago"),
            (60, "1 minute ago"),
            (119, "1 minute ago"),
            (120, "2 minutes ago"),
            (3_599, "59 minutes ago"),
            (3_600, "1 hour ago"),
            (7_199, "1 hour ago"),
            (7_200, "2 hours ago"),
            (day - 1, "23 hours ago"),
            (day, "1 day ago"),
            (2 * day - 1, "1 day ago"),
            (2 * day, "2 days ago"),
            (7 * day - 1, "6 days ago"),
            (7 * day, "1 week ago"),
            (14 * day - 1, "1 week ago"),
            (14 * day, "2 weeks ago"),
            (30 * day - 1, "4 weeks ago"),
            (30 * day, "1 month ago"),
            (60 * day - 1, "1 month ago"),
            (60 * day, "2 months ago"),
            (360 * day - 1, "11 months ago"),
            (360 * day, "1 year ago"),
            (540 * day - 1, "1 year ago"),
            (540 * day, "2 years ago"),
            (720 * day - 1, "2 years ago"),
            (720 * day, "2 years ago"),
            (1_080 * day, "3 years ago"),
            (37 * 360 * day - 1, "36 years ago"),
            (37 * 360 * day, "a long while ago"),
        ] {
            assert_eq!(time(NOW - difference, NOW), expected, "{difference}");
            let ahead = expected.replace("ago", "from now");
            assert_eq!(time(NOW + difference, NOW), ahead, "{difference}");
        }
        assert_eq!(time(NOW, NOW), "now");
        assert_eq!(time(i64::MIN, i64::MAX), "a long while ago");
    }
}
