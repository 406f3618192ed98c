use proptest::prelude::*;

use super::*;

fn seconds(layout: &str, value: &str) -> i64 {
    let parsed = parse(layout.as_bytes(), value.as_bytes());
    parsed.unwrap_or_else(|error| panic!("{error}")).seconds
}

fn mistake(layout: &str, value: &str) -> String {
    parse(layout.as_bytes(), value.as_bytes())
        .unwrap_err()
        .to_string()
}

/// 2018-11-13T14:15:16Z.
const THEN: i64 = 1_542_118_516;

#[test]
fn zalua_50_layouts() {
    for (layout, value, expected) in [
        ("2006-01-02T15:04:05Z07:00", "2018-11-13T14:15:16Z", THEN),
        (
            "2006-01-02T15:04:05Z07:00",
            "2018-11-13T17:15:16+03:00",
            THEN,
        ),
        ("2006-01-02T15:04:05Z0700", "2018-11-13T11:45:16-0230", THEN),
        ("2006-01-02T15:04:05Z07", "2018-11-13T17:15:16+03", THEN),
        (
            "2006-01-02T15:04:05-07:00:00",
            "2018-11-13T17:15:17+03:00:01",
            THEN,
        ),
        (
            "2006-01-02T15:04:05-070000",
            "2018-11-13T17:15:17+030001",
            THEN,
        ),
        ("Mon Jan _2 15:04:05 2006", "Tue Nov 13 14:15:16 2018", THEN),
        (
            "Mon Jan _2 15:04:05 MST 2006",
            "Tue Nov 13 14:15:16 UTC 2018",
            THEN,
        ),
        (
            "Monday, 02-Jan-06 15:04:05 MST",
            "Tuesday, 13-Nov-18 14:15:16 GMT",
            THEN,
        ),
        (
            "Mon, 02 Jan 2006 15:04:05 -0700",
            "tue, 13 nov 2018 15:15:16 +0100",
            THEN,
        ),
        (
            "January 2, 2006 at 3:04:05pm (MST)",
            "NOVEMBER 13, 2018 at 2:15:16pm (WITA)",
            THEN,
        ),
        ("2006-01-02 03:04:05 PM", "2018-11-13 02:15:16 PM", THEN),
        ("2006-002 15:04:05", "2018-317 14:15:16", THEN),
        ("2006 __2 15:04:05", "2018 317 14:15:16", THEN),
        ("2006-1-2 15:4:5", "2018-11-13 14:15:16", THEN),
        ("_2006-1-2 15:04:05", "_2018-11-13 14:15:16", THEN),
        ("2006-01-02", "1970-01-01", 0),
        ("2006-01-02", "2000-02-29", 951_782_400),
        ("2006-01-02 15", "1969-12-31 23", -3600),
        ("06", "69", -31_536_000),
        ("06", "68", 3_092_601_600),
        ("Jan _2 15:04:05", "Jan  1 00:00:00", -62_167_219_200),
        ("15:04", "00:01", -62_167_219_140),
        ("03PM", "12AM", -62_167_219_200),
        ("03PM", "12PM", -62_167_219_200 + 12 * 3600),
        ("2006 MST", "1970 GMT+3", 0),
        ("Janus 2006", "Janus 1970", 0),
        ("2006  x", "1970 x", 0),
    ] {
        assert_eq!(seconds(layout, value), expected, "{layout} on {value}");
    }
}

#[test]
fn zalua_50_fractions() {
    for (layout, value, expected) in [
        ("05.000", "01.250", 250_000_000),
        ("05.999", "01.25", 250_000_000),
        ("05.999", "01", 0),
        ("05", "01.5", 500_000_000),
        ("05 MST", "01.123456789123 UTC", 123_456_789),
    ] {
        let parsed = parse(layout.as_bytes(), value.as_bytes()).unwrap();
        assert_eq!(parsed.nanoseconds, expected, "{layout} on {value}");
    }
    let text = mistake("05.000", "01.25");
    assert_eq!(
        text,
        r#"parsing time "01.25" as "05.000": cannot parse ".25" as ".000""#
    );
}

#[test]
fn zalua_50_mistakes() {
    for (layout, value, expected) in [
        (
            "2006-01-02",
            "2018/11/13",
            r#"parsing time "2018/11/13" as "2006-01-02": cannot parse "/11/13" as "-""#,
        ),
        (
            "2006-01-02",
            "18-11-13",
            r#"parsing time "18-11-13" as "2006-01-02": cannot parse "18-11-13" as "2006""#,
        ),
        (
            "2006-01-02",
            "",
            r#"parsing time "" as "2006-01-02": cannot parse "" as "2006""#,
        ),
        (
            "Jan 2",
            "Foo 2",
            r#"parsing time "Foo 2" as "Jan 2": cannot parse "Foo 2" as "Jan""#,
        ),
        (
            "2006-01-02",
            "2018-13-01",
            r#"parsing time "2018-13-01": month out of range"#,
        ),
        (
            "2006-01-02",
            "2018-00-01",
            r#"parsing time "2018-00-01": month out of range"#,
        ),
        (
            "2006-01-02",
            "2018-02-29",
            r#"parsing time "2018-02-29": day out of range"#,
        ),
        (
            "2006-01-02",
            "2018-02-00",
            r#"parsing time "2018-02-00": day out of range"#,
        ),
        (
            "15:04:05",
            "24:00:00",
            r#"parsing time "24:00:00": hour out of range"#,
        ),
        (
            "15:04:05",
            "23:60:00",
            r#"parsing time "23:60:00": minute out of range"#,
        ),
        (
            "15:04:05",
            "23:59:60",
            r#"parsing time "23:59:60": second out of range"#,
        ),
        ("3pm", "13pm", r#"parsing time "13pm": hour out of range"#),
        ("2006", "2018x", r#"parsing time "2018x": extra text: x"#),
        (
            "2006-002",
            "2018-366",
            r#"parsing time "2018-366": day-of-year out of range"#,
        ),
        (
            "2006-002 01",
            "2018-317 10",
            r#"parsing time "2018-317 10": day-of-year does not match month"#,
        ),
        (
            "2006 MST",
            "2018 mst",
            r#"parsing time "2018 mst" as "2006 MST": cannot parse "mst" as "MST""#,
        ),
        (
            "-0700",
            "*0100",
            r#"parsing time "*0100" as "-0700": cannot parse "*0100" as "-0700""#,
        ),
    ] {
        assert_eq!(mistake(layout, value), expected);
    }
    let long = vec![b' '; TEXT_MAX + 1];
    assert_eq!(parse(b" ", &long), Err(ParseError::TooLong));
}

proptest! {
    #[test]
    fn dates_agree_with_the_clock(wall in 0_u64..=u64::MAX / 1_000_000_000) {
        let [year, month, day, hour, minute, second] =
            crate::model::Wall(wall * 1_000_000_000).utc();
        let value = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
        prop_assert_eq!(seconds("2006-01-02 15:04:05", &value), i64::try_from(wall).unwrap());
    }

    #[test]
    fn anything_is_a_time_or_a_mistake(
        pieces in prop::collection::vec(prop::sample::select(&[
            "2006", "06", "Jan", "January", "01", "1", "Mon", "02", "_2", "2", "002", "15", "03", "04",
            "05", ".000", ".999", "PM", "MST", "Z07:00", "-0700", " ", "-", ":", "T",
        ][..]), 0..8),
        value in "[0-9A-Za-z:. +-]{0,24}",
    ) {
        let layout = pieces.concat();
        if let Err(error) = parse(layout.as_bytes(), value.as_bytes()) {
            prop_assert!(error.to_string().starts_with("parsing time \""));
        }
        // The reference time itself fits every layout made of its parts.
        let layout = pieces.join("|");
        let own = parse(layout.as_bytes(), layout.replace('_', " ").as_bytes());
        if !layout.contains('Z') {
            prop_assert!(own.is_ok(), "{:?}", own);
        }
    }

    #[test]
    fn all_bytes_do(layout in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
        let parsed = parse(&layout, &value);
        prop_assert!(parsed.is_err() || parsed.is_ok_and(|time| time.nanoseconds < 1_000_000_000));
    }
}
