//! The language of the control socket: one request line, one reply.
//!
//! A request is a verb and its arguments, separated by tabs and ended by a line feed; in arguments
//! `\`, tab, line feed and carriage return are written `\\`, `\t`, `\n` and `\r`. A reply is
//! `ok`, a line feed, the body and one NUL byte that says that the body is whole; or
//! `error KIND MESSAGE`, a line feed and, where there is more to say than one line holds, a body of
//! lines in the same way. Then the service closes the connection.
//!
//! Pure: nothing here does I/O, and nothing here knows another module, because the small client is
//! built from this file too.

use std::fmt;

/// The longest request in bytes, line feed included.
pub const REQUEST_MAX: usize = 64 * 1024;

/// The longest first line of a reply in bytes, line feed included.
pub const HEAD_MAX: usize = 4 * 1024;

/// The first line of a good reply.
pub const OK: &[u8] = b"ok\n";

/// The byte after a whole body.
pub const END: u8 = 0;

/// How a value is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Text for people and scripts.
    #[default]
    Text,
    /// JSON.
    Json,
    /// Text with the colours of a terminal.
    Colour,
    /// A table for people where [`Form::Text`] is lines for scripts.
    Table,
    /// The change per second of a counter, as text.
    Rate,
}

impl Form {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Colour => "colour",
            Self::Table => "table",
            Self::Rate => "rate",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [
            Self::Text,
            Self::Json,
            Self::Colour,
            Self::Table,
            Self::Rate,
        ]
        .into_iter()
        .find(|form| form.as_str() == text)
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Whether the service answers.
    Ping,
    /// One value, by its key.
    Get(String, Form),
    /// Every value whose series fits the pattern.
    Metrics(String, Form),
    /// The plugins.
    Plugins(Form),
    /// Every part of the service.
    Status(Form),
    /// A copy of the store, in the form of its snapshot.
    Copy,
    /// A question in ZaLua's language (`serve::zalua::codec`), where its own socket is not there.
    Zalua(String),
    /// Put a value.
    Put(Put),
    /// End the service.
    Stop,
    /// Read the configuration again.
    Reload,
}

/// A value on its way into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The series, as people type it.
    pub series: String,
    /// The unit in UCUM notation, or empty.
    pub unit: String,
    /// How long the value holds, in whole seconds.
    pub seconds: u64,
    /// Whether the value is a number.
    pub is_number: bool,
    /// The value.
    pub value: String,
}

impl Put {
    fn encode(&self) -> Vec<u8> {
        let mut line = b"put".to_vec();
        let kind = if self.is_number { "number" } else { "text" };
        let seconds = self.seconds.to_string();
        for word in [&self.series, &self.unit, &seconds, kind, &self.value] {
            line.push(b'\t');
            escape(&mut line, word);
        }
        line.push(b'\n');
        line
    }

    fn decode<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Self, RequestError> {
        let (series, unit) = (argument(words.next())?, argument(words.next())?);
        let seconds = argument(words.next())?.parse();
        let is_number = match words.next() {
            Some("number") => true,
            Some("text") => false,
            _ => return Err(RequestError::Arguments),
        };
        let value = argument(words.next())?;
        // A number is one, or it would be lost where nobody can say so.
        if is_number && value.parse::<f64>().is_err() {
            return Err(RequestError::Arguments);
        }
        Ok(Self {
            series,
            unit,
            seconds: seconds.map_err(|_| RequestError::Arguments)?,
            is_number,
            value,
        })
    }
}

impl Request {
    /// Whether the request changes the service, so that not everybody may ask it.
    pub const fn changes_state(&self) -> bool {
        matches!(self, Self::Stop | Self::Reload | Self::Put(_))
    }

    /// The request as one line.
    pub fn encode(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(96);
        let (verb, argument, form) = match self {
            Self::Ping => ("ping", None, None),
            Self::Get(key, form) => ("get", Some(key), Some(form)),
            Self::Metrics(pattern, form) => ("metrics", Some(pattern), Some(form)),
            Self::Plugins(form) => ("plugins", None, Some(form)),
            Self::Status(form) => ("status", None, Some(form)),
            Self::Copy => ("copy", None, None),
            Self::Zalua(question) => ("zalua", Some(question), None),
            Self::Put(put) => return put.encode(),
            Self::Stop => ("stop", None, None),
            Self::Reload => ("reload", None, None),
        };
        line.extend_from_slice(verb.as_bytes());
        if let Some(argument) = argument {
            line.push(b'\t');
            escape(&mut line, argument);
        }
        if let Some(form) = form {
            line.push(b'\t');
            line.extend_from_slice(form.as_str().as_bytes());
        }
        line.push(b'\n');
        line
    }

    /// Reads a line, with or without its line feed.
    pub fn decode(line: &[u8]) -> Result<Self, RequestError> {
        if line.len() > REQUEST_MAX {
            return Err(RequestError::TooLong);
        }
        let line = std::str::from_utf8(line).map_err(|_| RequestError::NotText)?;
        let mut words = line.strip_suffix('\n').unwrap_or(line).split('\t');
        let verb = words.next().unwrap_or_default();
        let request = match verb {
            "ping" => Self::Ping,
            "get" => Self::Get(argument(words.next())?, form(words.next())?),
            "metrics" => Self::Metrics(argument(words.next())?, form(words.next())?),
            "plugins" => Self::Plugins(form(words.next())?),
            "status" => Self::Status(form(words.next())?),
            "copy" => Self::Copy,
            "zalua" => Self::Zalua(argument(words.next())?),
            "put" => Self::Put(Put::decode(&mut words)?),
            "stop" => Self::Stop,
            "reload" => Self::Reload,
            _ => return Err(RequestError::Verb),
        };
        match words.next() {
            None => Ok(request),
            Some(_) => Err(RequestError::Arguments),
        }
    }
}

fn argument(word: Option<&str>) -> Result<String, RequestError> {
    unescape(word.ok_or(RequestError::Arguments)?).ok_or(RequestError::Escape)
}

fn form(word: Option<&str>) -> Result<Form, RequestError> {
    word.map_or(Ok(Form::Text), |word| {
        Form::read(word).ok_or(RequestError::Arguments)
    })
}

fn escape(line: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\t' => line.extend_from_slice(b"\\t"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            plain => line.push(plain),
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next()? {
                '\\' => '\\',
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

/// Why a line is not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Over [`REQUEST_MAX`] bytes.
    TooLong,
    /// Not UTF-8.
    NotText,
    /// The first word is no verb.
    Verb,
    /// Too few or too many arguments, or one that the verb does not know.
    Arguments,
    /// A backslash that is followed by nothing known.
    Escape,
}

impl fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLong => "the request is longer than 64 KiB",
            Self::NotText => "the request is not UTF-8 text",
            Self::Verb => "the request's verb is unknown; client and service differ in version",
            Self::Arguments => "the request's arguments do not fit its verb",
            Self::Escape => "the request holds a backslash that escapes nothing",
        })
    }
}

impl std::error::Error for RequestError {}

/// What kind of error a reply tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such value.
    Unknown,
    /// The request is not understood.
    Usage,
    /// The peer may not ask this.
    Denied,
    /// Too many clients at once.
    Busy,
    /// The configuration is bad; the old one is kept.
    Configuration,
    /// The service could not do it.
    Failed,
}

impl ErrorKind {
    const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Usage,
        Self::Denied,
        Self::Busy,
        Self::Configuration,
        Self::Failed,
    ];

    /// The kind's word in a reply.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Usage => "usage",
            Self::Denied => "denied",
            Self::Busy => "busy",
            Self::Configuration => "configuration",
            Self::Failed => "failed",
        }
    }
}

/// The first line of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A body follows.
    Ok,
    /// Nothing follows, or a body with the details.
    Error(ErrorKind, String),
}

impl Head {
    /// The line, line feed included; a message that is too long is cut, and control characters in
    /// it become spaces.
    pub fn encode(&self) -> Vec<u8> {
        let Self::Error(kind, message) = self else {
            return OK.to_vec();
        };
        let mut line = format!("error {} ", kind.as_str());
        for character in message.chars() {
            if line.len() + character.len_utf8() >= HEAD_MAX {
                break;
            }
            line.push(if character.is_control() {
                ' '
            } else {
                character
            });
        }
        line.push('\n');
        line.into_bytes()
    }

    /// Reads the line, with or without its line feed; `None` when it is neither form.
    pub fn decode(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        if line == "ok" {
            return Some(Self::Ok);
        }
        let (kind, message) = line.strip_prefix("error ")?.split_once(' ')?;
        let kind = ErrorKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)
            // A newer service may know kinds that this client does not.
            .unwrap_or(ErrorKind::Failed);
        Some(Self::Error(kind, message.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_one_plain_line() {
        let request = Request::Get("a b\tc\\".into(), Form::Json);
        assert_eq!(request.encode(), b"get\ta b\\tc\\\\\tjson\n");
        assert_eq!(
            Request::decode(b"get\tx"),
            Ok(Request::Get("x".into(), Form::Text))
        );
        assert_eq!(Request::decode(b"ping\n"), Ok(Request::Ping));
    }

    #[test]
    fn what_is_no_request_says_why() {
        for (line, error) in [
            (&b""[..], RequestError::Verb),
            (b"fetch\tx\n", RequestError::Verb),
            (b"get\n", RequestError::Arguments),
            (b"get\tx\tyaml\n", RequestError::Arguments),
            (b"ping\tx\n", RequestError::Arguments),
            (b"get\tx\\q\n", RequestError::Escape),
            (b"get\tx\\\n", RequestError::Escape),
            (b"get\t\xff\n", RequestError::NotText),
            (&vec![b'x'; REQUEST_MAX + 1], RequestError::TooLong),
        ] {
            assert_eq!(Request::decode(line), Err(error));
        }
    }

    #[test]
    fn a_message_stays_one_line_and_within_its_bound() {
        let line = Head::Error(ErrorKind::Failed, "a\nb".into()).encode();
        assert_eq!(line, b"error failed a b\n");
        let long = Head::Error(ErrorKind::Failed, "é".repeat(HEAD_MAX)).encode();
        assert!(long.len() <= HEAD_MAX && Head::decode(&long).is_some());
        assert_eq!(Head::decode(b"ok\n"), Some(Head::Ok));
        assert_eq!(Head::decode(b"pong"), None);
    }

    fn form() -> impl Strategy<Value = Form> {
        prop_oneof![
            Just(Form::Text),
            Just(Form::Json),
            Just(Form::Colour),
            Just(Form::Rate)
        ]
    }

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            Just(Request::Ping),
            Just(Request::Stop),
            Just(Request::Reload),
            Just(Request::Copy),
            any::<String>().prop_map(Request::Zalua),
            (".{0,40}", "[a-zA-Z{}/]{0,9}", any::<u64>(), any::<f64>()).prop_map(
                |(series, unit, seconds, number)| Request::Put(Put {
                    series,
                    unit,
                    seconds,
                    is_number: true,
                    value: number.to_string(),
                })
            ),
            ".{0,40}".prop_map(|value| Request::Put(Put {
                series: "a".into(),
                unit: String::new(),
                seconds: 1,
                is_number: false,
                value,
            })),
            form().prop_map(Request::Plugins),
            form().prop_map(Request::Status),
            (any::<String>(), form()).prop_map(|(key, form)| Request::Get(key, form)),
            (any::<String>(), form()).prop_map(|(glob, form)| Request::Metrics(glob, form)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(request in request()) {
            let line = request.encode();
            prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
            prop_assert_eq!(Request::decode(&line), Ok(request));
        }

        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = Request::decode(&bytes).map(|request| request.encode());
            if let Ok(line) = line {
                prop_assert!(Request::decode(&line).is_ok());
            }
            if let Some(Head::Error(kind, message)) = Head::decode(&bytes) {
                prop_assert!(Head::decode(&Head::Error(kind, message).encode()).is_some());
            }
        }
    }
}
