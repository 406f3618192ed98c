//! Item keys: no text panics, and what parses is written and read back as the same key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::serve::zabbix::item_key::{ItemKey, MAX_PARAMETERS, format_key};

fuzz_target!(|text: &str| {
    let Ok(key) = ItemKey::parse(text) else {
        return;
    };
    assert!(key.parameters.len() <= MAX_PARAMETERS);
    assert!(text.starts_with(key.name));
    // A backslash before a quote cannot be told from an escape.
    if key
        .parameters
        .iter()
        .any(|parameter| parameter.contains("\\\""))
    {
        return;
    }
    if let Ok(written) = format_key(key.name, &key.parameters) {
        let again = ItemKey::parse(&written).expect("what was written parses");
        assert_eq!((again.name, again.parameters), (key.name, key.parameters));
    }
});
