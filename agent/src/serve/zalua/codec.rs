//! ZaLua's language on its socket: one request and one reply per connection, without framing.
//!
//! A request is what one read returns, at most 64 KiB, without a line feed; a reply is all bytes
//! until the connection closes, without a line feed. Some replies stand for errors, which cannot be
//! told from a value of the same text: that is the protocol's weakness, kept as it is.
//!
//! Pure: nothing here does I/O, and nothing here knows another module, because the small client is
//! built from this file too.

/// Where programs that speak this language look for the socket.
pub const SOCKET: &str = "/tmp/zalua-mon.sock";

/// Names another socket, for tests and for several services on one machine.
pub const SOCKET_VARIABLE: &str = "ZALUA_SOCKET";

/// The longest request in bytes.
pub const REQUEST_MAX: usize = 64 * 1024;

/// Reply to `ping`.
pub const PONG: &str = "pong";
/// Reply that stands for an empty one.
pub const EMPTY: &str = "zalua-empty-message";
/// There is no such value.
pub const UNKNOWN_METRIC: &str = "unknown-metric";
/// The request is none.
pub const UNKNOWN_COMMAND: &str = "unknown-command";
/// The request lacks its key, or the peer may not ask it.
pub const COMMAND_ERROR: &str = "command-error";
/// What comes before the digits of a server's identity.
pub const SERVER_ID: &str = "server-id-";

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Whether the service answers.
    Ping,
    /// Which service answers.
    ServerId,
    /// End the service.
    Kill,
    /// Every value.
    Metrics,
    /// Every plugin.
    Plugins,
    /// One value: its name and exactly these tags.
    Get(&'a str, Vec<(&'a str, &'a str)>),
    /// A `get` without a key.
    NoKey,
    /// Anything else.
    Unknown,
}

impl<'a> Request<'a> {
    /// Reads a request; every sequence of bytes is one.
    pub fn decode(bytes: &'a [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Unknown;
        };
        match text {
            "ping" => Self::Ping,
            "server-id" => Self::ServerId,
            "command-kill" => Self::Kill,
            "list-of-metrics" => Self::Metrics,
            "list-of-plugins" => Self::Plugins,
            // A prefix, not a word: `get-metric-valueX key` is a get too, and clients rely on
            // nothing here, but the checklist does.
            _ if text.starts_with("get-metric-value") => Self::get(text),
            _ => Self::Unknown,
        }
    }

    fn get(text: &'a str) -> Self {
        let mut words = text.split(' ').skip(1);
        let Some(name) = words.next() else {
            return Self::NoKey;
        };
        let tags = words
            // A word with no or two equals signs is not a tag and is left out.
            .filter_map(|word| {
                word.split_once('=')
                    .filter(|(_, value)| !value.contains('='))
            })
            .collect();
        Self::Get(name, tags)
    }
}

/// The request for one value.
pub fn get_request(key: &[u8]) -> Vec<u8> {
    let mut request = b"get-metric-value ".to_vec();
    request.extend_from_slice(key);
    request
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_read_as_the_old_program_read_them() {
        for (text, expected) in [
            ("ping", Request::Ping),
            ("ping\n", Request::Unknown),
            ("", Request::Unknown),
            ("get-metric-value", Request::NoKey),
            ("get-metric-value a", Request::Get("a", vec![])),
            ("get-metric-valueXYZ a", Request::Get("a", vec![])),
            ("get-metric-value  a", Request::Get("", vec![])),
            (
                "get-metric-value a b=c",
                Request::Get("a", vec![("b", "c")]),
            ),
            (
                "get-metric-value a b=c=d e f=",
                Request::Get("a", vec![("f", "")]),
            ),
            ("command-kill", Request::Kill),
        ] {
            assert_eq!(Request::decode(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(Request::decode(b"\xff"), Request::Unknown);
    }

    proptest! {
        #[test]
        fn a_key_and_its_tags_arrive(
            name in "[!-~]{1,20}",
            tags in proptest::collection::vec(("[a-z]{1,5}", "[a-z/:]{0,5}"), 0..4),
        ) {
            let mut key = name.clone();
            for (tag, value) in &tags {
                key.extend([" ", tag, "=", value]);
            }
            let request = get_request(key.as_bytes());
            let expected = tags.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect();
            prop_assert_eq!(Request::decode(&request), Request::Get(name.as_str(), expected));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Request::Get(name, _) = Request::decode(&bytes) {
                prop_assert!(!name.contains(' '));
            }
        }
    }
}
