//! What a passive check asks, and how the answer is written.
//!
//! Two forms exist: the bare key (Zabbix up to 6.x, and 7.x after a fallback) and the JSON of 7.0.
//! An answer always takes the form of its question; a 7.0 server that got anything but JSON for its
//! JSON falls back to the bare key for an hour, and thinks the agent dead if it got nothing.
//! Pure. Tests: below, and `fuzz/fuzz_targets/zabbix_request.rs`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};

/// The protocol version told to a 7.0 server: that of the JSON form spoken here.
pub const PROTOCOL_VERSION: &str = "7.0.0";

/// What Zabbix calls the C agent; 2 would be the Go agent with its other error texts.
pub const VARIANT: u8 = 1;

/// The marker of a plain reply that carries a reason instead of a value.
const NOT_SUPPORTED: &[u8] = b"ZBX_NOTSUPPORTED\0";

/// The form of a request, which its reply repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The bare item key.
    Plain,
    /// `{"request":"passive checks",...}`.
    Json,
}

/// A request as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The form of the request.
    pub form: Form,
    /// The item key, not parsed; or what is wrong with the request as a whole (JSON form only).
    pub key: Result<Cow<'a, str>, &'static str>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    request: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<FirstItem<'a>>,
}

/// The first element of `data`; both of Zabbix's agents use that one alone.
#[derive(Default)]
struct FirstItem<'a>(Option<Cow<'a, str>>);

#[derive(Deserialize)]
struct WireItem<'a> {
    #[serde(borrow, default)]
    key: Cow<'a, str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for FirstItem<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = FirstItem<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list.next_element::<WireItem<'de>>()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FirstItem(first.map(|item| item.key)))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Reads the body of a frame. Never fails: a text that is not the JSON form is a key.
pub fn parse(body: &[u8]) -> Request<'_> {
    if body.first() == Some(&b'{') {
        match serde_json::from_slice::<Wire<'_>>(body) {
            Ok(wire) => {
                return Request {
                    form: Form::Json,
                    key: first_key(wire),
                };
            }
            // Well-formed JSON of another shape still wants a JSON reply.
            Err(error) if error.is_data() => {
                return Request {
                    form: Form::Json,
                    key: Err("cannot parse the request"),
                };
            }
            Err(_) => {}
        }
    }
    let key = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text.trim_end_matches(['\r', '\n'])),
        // Not a key in any case: the replacement character is outside the grammar of names.
        Err(_) => String::from_utf8_lossy(body),
    };
    Request {
        form: Form::Plain,
        key: Ok(key),
    }
}

fn first_key(wire: Wire<'_>) -> Result<Cow<'_, str>, &'static str> {
    match wire.request.as_ref() {
        "passive checks" => {}
        "" => return Err("cannot find the \"request\" tag in the request"),
        _ => return Err("unknown request"),
    }
    match wire.data {
        None => Err("cannot find the \"data\" array in the request"),
        Some(FirstItem(None)) => Err("received empty \"data\" tag"),
        Some(FirstItem(Some(key))) => Ok(key),
    }
}

/// Writes the reply to one item: its value, or the reason why there is none.
pub fn write_answer(form: Form, answer: Result<&str, &str>, out: &mut Vec<u8>) {
    match (form, answer) {
        (Form::Plain, Ok(value)) => out.extend_from_slice(value.as_bytes()),
        (Form::Plain, Err(reason)) => {
            out.extend_from_slice(NOT_SUPPORTED);
            out.extend_from_slice(reason.as_bytes());
        }
        (Form::Json, Ok(value)) => write_item("value", value, out),
        (Form::Json, Err(reason)) => write_item("error", reason, out),
    }
}

/// Writes the reply to a JSON request that holds no usable item.
pub fn write_request_error(reason: &str, out: &mut Vec<u8>) {
    write_prologue(out);
    out.extend_from_slice(b"\"error\":");
    write_text(reason, out);
    out.push(b'}');
}

fn write_item(tag: &str, text: &str, out: &mut Vec<u8>) {
    write_prologue(out);
    out.extend_from_slice(b"\"data\":[{\"");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(b"\":");
    write_text(text, out);
    out.extend_from_slice(b"}]}");
}

fn write_prologue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"version\":\"");
    out.extend_from_slice(PROTOCOL_VERSION.as_bytes());
    out.extend_from_slice(b"\",\"variant\":");
    out.push(b'0' + VARIANT);
    out.push(b',');
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *out, text).is_err() {
        // A text written to memory cannot fail; an empty one keeps the reply well-formed.
        out.extend_from_slice(b"\"\"");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(body: &str) -> (Form, Result<String, &'static str>) {
        let request = parse(body.as_bytes());
        (request.form, request.key.map(Cow::into_owned))
    }

    #[test]
    fn a_bare_key_loses_its_line_end_only() {
        assert_eq!(
            key("agent.ping\r\n"),
            (Form::Plain, Ok("agent.ping".into()))
        );
        assert_eq!(key(" agent.ping"), (Form::Plain, Ok(" agent.ping".into())));
        assert_eq!(key(""), (Form::Plain, Ok(String::new())));
        assert_eq!(key("{not json"), (Form::Plain, Ok("{not json".into())));
        assert!(parse(b"\xff\xfe").key.is_ok());
    }

    #[test]
    fn the_json_form_gives_the_first_key() {
        let body = r#"{"request":"passive checks","data":[{"key":"vfs.fs.size[\"/\",pfree]","timeout":3},{"key":"b"}]}"#;
        assert_eq!(
            key(body),
            (Form::Json, Ok(r#"vfs.fs.size["/",pfree]"#.into()))
        );
        let text_timeout = r#"{"request":"passive checks","data":[{"key":"a","timeout":"5s"}]}"#;
        assert_eq!(key(text_timeout), (Form::Json, Ok("a".into())));
    }

    #[test]
    fn json_without_a_usable_item_still_gets_json() {
        for (body, reason) in [
            (
                r#"{"request":"passive checks","data":[]}"#,
                "received empty \"data\" tag",
            ),
            (
                r#"{"request":"passive checks"}"#,
                "cannot find the \"data\" array in the request",
            ),
            (
                r#"{"request":"active checks","data":[]}"#,
                "unknown request",
            ),
            ("{}", "cannot find the \"request\" tag in the request"),
            (r#"{"request":1}"#, "cannot parse the request"),
        ] {
            assert_eq!(key(body), (Form::Json, Err(reason)), "{body}");
        }
    }

    #[test]
    fn replies_take_the_form_of_the_request() {
        let write = |form, answer| {
            let mut out = Vec::new();
            write_answer(form, answer, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(Form::Plain, Ok("1")), "1");
        assert_eq!(write(Form::Plain, Err("No.")), "ZBX_NOTSUPPORTED\0No.");
        assert_eq!(
            write(Form::Json, Ok("a\"b\n")),
            r#"{"version":"7.0.0","variant":1,"data":[{"value":"a\"b\n"}]}"#
        );
        assert_eq!(
            write(Form::Json, Err("Unsupported item key.")),
            r#"{"version":"7.0.0","variant":1,"data":[{"error":"Unsupported item key."}]}"#
        );
        let mut out = Vec::new();
        write_request_error("received empty \"data\" tag", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"version":"7.0.0","variant":1,"error":"received empty \"data\" tag"}"#
        );
    }

    proptest! {
        #[test]
        fn any_value_survives_the_json_reply(value in any::<String>()) {
            let mut out = Vec::new();
            write_answer(Form::Json, Ok(&value), &mut out);
            let reply: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(&reply["data"][0]["value"], &serde_json::Value::String(value));
        }

        #[test]
        fn any_key_survives_the_json_request(text in any::<String>()) {
            let body = serde_json::json!({
                "request": "passive checks", "data": [{"key": text, "timeout": 3}]
            }).to_string();
            prop_assert_eq!(key(&body), (Form::Json, Ok(text)));
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&body);
        }
    }
}
