//! Small texts: numbers, queries, quotes, parts of strings and of paths.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::lua::go::{filepath, json, number, quote, strings, url};

fuzz_target!(|input: (&[u8], &[u8], f64)| {
    let (text, other, float) = input;
    let parts: Vec<_> = strings::split(text, other).collect();
    assert_eq!(parts.join(other), text);
    let trimmed = strings::trim(text, other);
    assert_eq!(strings::trim(trimmed, other), trimmed);

    assert_eq!(
        url::query_unescape(url::query_escape(text).as_bytes()).as_deref(),
        Ok(text)
    );
    if let Err(error) = url::query_unescape(text) {
        assert!(error.to_string().starts_with("invalid URL escape \"%"));
    }

    let quoted = quote(text);
    assert!(quoted.len() >= 2 && quoted.chars().all(|one| !one.is_control()));
    let mut encoded = String::new();
    json::encode_string(text, &mut encoded);
    assert!(serde_json::from_str::<String>(&encoded).is_ok());

    if let Ok(encoded) = json::encode_number(float) {
        assert_eq!(encoded.parse(), Ok(float));
        assert_eq!(number::tostring(float).parse(), Ok(float));
    }
    let again = number::parse_float(number::format_g(float).as_bytes()).expect("a number");
    assert!(again.to_bits() == float.to_bits() || float.is_nan());
    let _float = number::parse_float(text);
    if let Some(number) = number::tonumber(text, other.len() as u32) {
        assert!(number.is_finite());
    }

    let clean = filepath::clean(text);
    assert_eq!(filepath::clean(&clean), clean);
    assert!(!filepath::base(text).is_empty() && !filepath::dir(text).is_empty());
    assert!(text.ends_with(filepath::ext(text)));
});
