//! The content of ZaLua's storage file: a JSON object of items by identity key.
//!
//! Written byte for byte as that program wrote it: keys sorted, fields in its order, and the
//! escaping of Go's `encoding/json`. Read leniently: one odd item costs that item alone. Pure.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One value as the file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// The name, without tags. Files of ZaLua's first versions have none; there the key is it.
    #[serde(default)]
    pub metric: String,
    /// The value as ZaLua printed it.
    #[serde(default)]
    pub value: String,
    /// The tags; a file may say `null` for none.
    #[serde(default, deserialize_with = "tags")]
    pub tags: BTreeMap<String, String>,
    /// When it was put, in seconds since 1970.
    #[serde(default)]
    pub created_at: i64,
    /// For how many seconds it holds.
    #[serde(default)]
    pub ttl: i64,
}

/// The longest item that is read, in bytes of JSON: the longest text that the store can be
/// configured to take, each byte escaped, and room for the name and tags.
const ITEM_MAX: usize = 8 << 20;

impl Item {
    /// What the item is kept under: the name, and behind it the tags as compact JSON if there are
    /// any.
    pub fn identity(&self) -> String {
        let mut text = self.metric.clone();
        if !self.tags.is_empty() {
            write_tags(&mut text, &self.tags);
        }
        text
    }

    /// Appends the item as JSON.
    pub fn write(&self, out: &mut String) {
        out.push_str("{\"metric\":");
        write_text(out, &self.metric);
        out.push_str(",\"value\":");
        write_text(out, &self.value);
        out.push_str(",\"tags\":");
        write_tags(out, &self.tags);
        // Writing to a string cannot fail.
        write!(
            out,
            ",\"created_at\":{},\"ttl\":{}}}",
            self.created_at, self.ttl
        )
        .ok();
    }

    /// For how many seconds the item still holds at `now`; `None` when it does not. In whole
    /// seconds, as ZaLua counts, and never longer than it was meant to hold.
    pub fn left(&self, now: i64) -> Option<u64> {
        let left = self.created_at.saturating_add(self.ttl).saturating_sub(now);
        u64::try_from(left.min(self.ttl))
            .ok()
            .filter(|left| *left > 0)
    }
}

/// Appends a text as Go's `json.Marshal` writes it: `<`, `>`, `&` and the two line separators of
/// Unicode are escaped too.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                write!(out, "\\u{:04x}", u32::from(character)).ok();
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

fn write_tags(out: &mut String, tags: &BTreeMap<String, String>) {
    out.push('{');
    let mut separator = "";
    for (tag, value) in tags {
        out.push_str(separator);
        separator = ",";
        write_text(out, tag);
        out.push(':');
        write_text(out, value);
    }
    out.push('}');
}

/// Shows every item of a file in its order, `None` for what is no item (`null`, a number, a field
/// of the wrong type, no name). A file that is empty or `null` has none.
///
/// The error is that of the JSON: then nothing was shown.
pub fn read(text: &[u8], mut take: impl FnMut(Option<Item>)) -> Result<(), serde_json::Error> {
    if text.trim_ascii().is_empty() {
        return Ok(());
    }
    // Once to see whether all of it is JSON, and once to take it: nothing has to be kept between.
    walk(text, &mut |_, _| {})?;
    walk(text, &mut |key, json| take(item(key, json)))
}

fn item(key: String, json: &RawValue) -> Option<Item> {
    // An object and nothing else: serde takes a list for the fields in their order.
    if json.get().len() > ITEM_MAX || !json.get().starts_with('{') {
        return None;
    }
    let mut item = serde_json::from_str::<Item>(json.get()).ok()?;
    if item.metric.is_empty() {
        item.metric = key;
    }
    (!item.metric.is_empty()).then_some(item)
}

fn walk(text: &[u8], show: &mut dyn FnMut(String, &RawValue)) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    (&mut reader).deserialize_any(Items(show))?;
    reader.end()
}

struct Items<'s>(&'s mut dyn FnMut(String, &RawValue));

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of items")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            (self.0)(key, map.next_value::<&RawValue>()?);
        }
        Ok(())
    }
}

fn tags<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(metric: &str, tags: &[(&str, &str)]) -> Item {
        Item {
            metric: metric.to_owned(),
            value: "1.00".to_owned(),
            tags: tags
                .iter()
                .map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()))
                .collect(),
            created_at: 1_541_000_000,
            ttl: 300,
        }
    }

    fn items(text: &str) -> Vec<Option<Item>> {
        let mut items = Vec::new();
        read(text.as_bytes(), |item| items.push(item)).unwrap();
        items
    }

    #[test]
    fn zalua_39_an_item_is_written_as_that_program_wrote_it() {
        let mut text = String::new();
        item("a", &[]).write(&mut text);
        assert_eq!(
            text,
            r#"{"metric":"a","value":"1.00","tags":{},"created_at":1541000000,"ttl":300}"#
        );
        let tagged = item("cpu", &[("mode", "a<b>&\"c\\"), ("core", "0")]);
        assert_eq!(
            tagged.identity(),
            r#"cpu{"core":"0","mode":"a\u003cb\u003e\u0026\"c\\"}"#
        );
        let mut text = String::new();
        write_text(&mut text, "é\u{1}\t\r\n\u{2028}\u{7f} ~");
        assert_eq!(text, "\"é\\u0001\\t\\r\\n\\u2028\u{7f} ~\"");
    }

    #[test]
    fn zalua_39_old_and_odd_items_are_read() {
        assert_eq!(
            items(r#"{"old":{"value":"x","created_at":5,"ttl":6}}"#),
            [Some(Item {
                metric: "old".to_owned(),
                value: "x".to_owned(),
                tags: BTreeMap::new(),
                created_at: 5,
                ttl: 6
            })]
        );
        let text = r#"{"a":null,"b":7,"c":{"value":7},"d":{"metric":"d","tags":null,"new":[{}]},
            "e":{"tags":{"x":1}},"f":[]}"#;
        let read = items(text);
        let odd: Vec<bool> = read.iter().map(Option::is_none).collect();
        assert_eq!(odd, [true, true, true, false, true, true]);
        assert_eq!(read[3].as_ref().unwrap().metric, "d");
    }

    #[test]
    fn zalua_39_what_is_no_json_is_refused_as_a_whole() {
        for empty in ["null", "", " \n", "{}"] {
            assert!(items(empty).is_empty());
        }
        for bad in [
            "[]",
            "7",
            "{",
            "{\"a\":{}",
            "{\"a\":{}} x",
            "{\"a\":{]}",
            "nul",
        ] {
            let mut shown = 0;
            assert!(read(bad.as_bytes(), |_| shown += 1).is_err(), "{bad}");
            assert_eq!(shown, 0, "{bad}");
        }
        let text = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert!(read(text.as_bytes(), |_| ()).is_err());
        assert!(read(b"{\"\xff\":{}}", |_| ()).is_err());
    }

    #[test]
    fn zalua_39_time_is_counted_in_whole_seconds() {
        let item = item("a", &[]);
        assert_eq!(item.left(1_541_000_000), Some(300));
        assert_eq!(item.left(1_541_000_299), Some(1));
        assert_eq!(item.left(1_541_000_300), None);
        // The wall clock was set back.
        assert_eq!(item.left(1_000_000_000), Some(300));
        let odd = Item {
            created_at: i64::MAX,
            ttl: i64::MAX,
            ..Item::default()
        };
        assert_eq!(odd.left(0), Some(i64::MAX as u64));
        assert_eq!(Item { ttl: -1, ..odd }.left(i64::MIN), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            metric in "\\PC{1,20}", value in any::<String>(),
            tags in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4),
            created_at: i64, ttl: i64,
        ) {
            let item = Item { metric, value, tags, created_at, ttl };
            let mut text = String::from("{");
            write_text(&mut text, &item.identity());
            text.push(':');
            item.write(&mut text);
            text.push('}');
            prop_assert_eq!(items(&text), [Some(item)]);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = read(&bytes, |_| ()).is_ok();
        }
    }
}
