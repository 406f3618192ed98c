//! ZaLua's storage file: no bytes panic, and every item that is read, written and read again is
//! the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::serve::zalua::items::{self, Item};

fn items(bytes: &[u8]) -> Option<Vec<Item>> {
    let mut found = Vec::new();
    items::read(bytes, |item| found.extend(item)).ok()?;
    Some(found)
}

fuzz_target!(|bytes: &[u8]| {
    for item in items(bytes).unwrap_or_default() {
        assert!(
            item.left(item.created_at)
                .is_none_or(|left| left as i64 <= item.ttl)
        );
        let mut text = String::from("{");
        items::write_text(&mut text, &item.identity());
        text.push(':');
        item.write(&mut text);
        text.push('}');
        let again = items(text.as_bytes());
        assert_eq!(
            again.as_deref(),
            Some(std::slice::from_ref(&item)),
            "{text}"
        );
    }
});
