//! Series: no text panics, what is taken reads back as itself, and is the same from its parts.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use moonward::model::Series;

fn check(series: &Series) {
    let text = series.as_str();
    assert!(text.len() <= Series::TEXT_MAX);
    assert!(!text.contains(char::is_control));
    assert_eq!(Series::parse(text).as_ref(), Ok(series));
    let tags = series.tags();
    assert!(tags.len() <= Series::TAGS_MAX);
    assert!(tags.is_sorted_by(|one, two| one.0 < two.0));
    let pairs: Vec<(&str, &str)> = tags
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .collect();
    assert_eq!(Series::new(series.name(), &pairs).as_ref(), Ok(series));
    for (name, value) in pairs {
        assert_eq!(series.tag(name), Some(Cow::Borrowed(value)));
    }
}

fuzz_target!(|input: (&str, Vec<(&str, &str)>)| {
    let (text, tags) = input;
    if let Ok(series) = Series::parse(text) {
        check(&series);
    }
    if let Ok(series) = Series::new(text, &tags) {
        check(&series);
        assert_eq!(series.name(), text);
        assert_eq!(series.tags().len(), tags.len());
    }
});
