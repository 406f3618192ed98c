//! The Gregorian calendar, in both directions of time.

/// The number of days of a month, 1 to 12.
pub(super) fn days_in(month: u32, year: i64) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Month and day of a day of the year, counted from 1.
pub(super) fn month_and_day(year_day: u32, year: i64) -> Option<(u32, u32)> {
    let mut left = year_day;
    for month in 1..=12 {
        let days = days_in(month, year);
        if left <= days {
            return (left > 0).then_some((month, left));
        }
        left -= days;
    }
    None
}

/// Days from 1970-01-01 to a date; negative before. `model::clock` has the other direction and
/// says why years begin in March here.
pub(super) fn days_since_1970(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let shifted_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
