//! Tests of the text form of series.

use proptest::prelude::*;

use super::*;

#[test]
fn tags_are_sorted_whatever_their_order() {
    let one = Series::new(
        "system.disk.io",
        &[("direction", "read"), ("device", "vda")],
    );
    let two = Series::new(
        "system.disk.io",
        &[("device", "vda"), ("direction", "read")],
    );
    assert_eq!(one, two);
    assert_eq!(
        one.unwrap().as_str(),
        "system.disk.io{device=\"vda\",direction=\"read\"}"
    );
}

#[test]
fn people_may_leave_out_quotes_and_order() {
    let typed = Series::parse(" system.disk.io{direction=read, device=vda} ").unwrap();
    assert_eq!(
        typed.as_str(),
        "system.disk.io{device=\"vda\",direction=\"read\"}"
    );
    assert_eq!(typed.name(), "system.disk.io");
    assert_eq!(typed.tag("device").as_deref(), Some("vda"));
    assert_eq!(typed.tag("absent"), None);
}

#[test]
fn old_keys_with_brackets_are_names() {
    for key in [
        "system.disk.utilization[/]",
        "a{b",
        "a}",
        "x{}",
        "with spaces",
    ] {
        let series = Series::parse(key).unwrap();
        assert_eq!(series.name(), key);
        assert!(series.tags().is_empty());
    }
}

#[test]
fn what_is_no_series_says_why() {
    assert_eq!(Series::parse(""), Err(SeriesError::Empty));
    assert_eq!(
        Series::parse("a{b=\"c}"),
        Err(SeriesError::Syntax("a{b=\"c}".into()))
    );
    assert_eq!(
        Series::new("a\nb", &[]),
        Err(SeriesError::ControlCharacter('\n'))
    );
    assert_eq!(
        Series::new("a", &[("b", "1"), ("b", "2")]),
        Err(SeriesError::TagTwice("b".into()))
    );
    assert_eq!(
        Series::new("a", &[("b c", "1")]),
        Err(SeriesError::TagName("b c".into()))
    );
    assert_eq!(
        Series::new(&"x".repeat(1025), &[]),
        Err(SeriesError::TooLong(1025))
    );
    assert_eq!(
        Series::new("a", &[("value", "x".repeat(1100).as_str())]),
        Err(SeriesError::TooLong(1111))
    );
}

#[test]
fn a_name_that_would_read_as_something_else_is_refused() {
    for (name, tags) in [
        ("a{b=c}", &[][..]),
        ("a{b", &[("c", "d")]),
        ("x{}", &[("c", "d")]),
    ] {
        assert_eq!(
            Series::new(name, tags),
            Err(SeriesError::Brace(name.into()))
        );
    }
    for name in [" a", "a ", "\u{2003}a"] {
        assert_eq!(Series::new(name, &[]), Err(SeriesError::Space(name.into())));
    }
    assert_eq!(Series::parse("a {b=c}"), Series::new("a", &[("b", "c")]));
}

#[test]
fn no_control_character_gets_into_a_series() {
    for value in ["\u{85}", "\u{9b}2J", "\u{7f}", "\t"] {
        let series = Series::new("a", &[("b", value)]).unwrap();
        assert!(!series.as_str().contains(char::is_control), "{series:?}");
    }
    let plain = Series::new("a", &[("b", "5 \u{b5}m")]).unwrap();
    assert_eq!(plain.tag("b").as_deref(), Some("5 \u{b5}m"));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        name in "[a-z.\\[\\]/]{1,20}",
        tags in proptest::collection::btree_map("[a-z_.]{1,8}", "[ -~\\n\\\\\"é,=}{]{0,12}", 0..5),
    ) {
        let pairs: Vec<(&str, &str)> =
            tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let series = Series::new(&name, &pairs).unwrap();
        let read: Vec<(String, String)> = series
            .tags()
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let expected: Vec<(String, String)> = tags.clone().into_iter().collect();
        prop_assert_eq!(read, expected);
        prop_assert_eq!(series.name(), name.as_str());
        prop_assert_eq!(Series::parse(series.as_str()).unwrap(), series);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
        if let Ok(series) = Series::parse(&text) {
            prop_assert!(series.tags().len() <= Series::TAGS_MAX);
        }
    }
}
