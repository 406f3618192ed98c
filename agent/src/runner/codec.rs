//! The language of the runner's socket, pure.
//!
//! A frame is a length of four bytes and as many bytes of content; every number is big-endian. The
//! content of a request is: the version (1); 0 for a shell or 1 for a program; the time limit in
//! milliseconds (4 bytes); the number of words (4), each with its length (4); 0 for no input, or 1
//! and the input with its length (4). The content of a reply is: the version; how it ended (0
//! exited, 1 by a signal, 2 timed out, 3 refused, 4 not started) with a number (4: status, signal,
//! milliseconds, the reason's length), for a signal whether there was a core file (1), or the
//! reason; the duration in microseconds (8); for each output how many bytes there were (8) and those
//! that were kept with their length (4).
//!
//! What reads is written back as the same bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::time::Duration;

use thiserror::Error;

use super::outcome::{Ending, Outcome, Output};
use super::request::{Command, Request, RequestError};

/// The most bytes of a request's content; a command and its input are texts that people write.
pub const REQUEST_MAX: usize = 64 * 1024;

/// The most bytes of a reason.
pub const REASON_MAX: usize = 4 * 1024;

/// The most bytes of a reply's content: both outputs, a reason and the numbers.
pub const REPLY_MAX: usize = 2 * Output::MAX + REASON_MAX + 64;

/// The bytes of a frame's length.
pub const HEADER: usize = 4;

const VERSION: u8 = 1;

/// Why something is not a reply.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the reply cannot be read; the runner may be of another version")]
pub struct ReplyError;

/// The length that a header announces, if it is at most `most`.
pub fn length(header: [u8; HEADER], most: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(header))
        .ok()
        .filter(|length| *length <= most)
}

/// The header of a frame of that length. Whatever is encoded here is far below 4 GiB; what is not
/// would be refused as too long by any reader.
pub fn header(length: usize) -> [u8; HEADER] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

impl Request {
    /// Whether the request is one that the runner takes, apart from its length.
    fn check(&self) -> Result<(), RequestError> {
        if !(Self::TIMEOUT_MIN..=Self::TIMEOUT_MAX).contains(&self.timeout) {
            return Err(RequestError::Timeout);
        }
        let words = match &self.command {
            Command::Shell(text) => std::slice::from_ref(text),
            Command::Program(words) => {
                if words.first().is_none_or(|program| program.is_empty()) {
                    return Err(RequestError::NoProgram);
                }
                words
            }
        };
        if words.iter().any(|word| word.as_bytes().contains(&0)) {
            return Err(RequestError::Nul);
        }
        Ok(())
    }

    /// The content of the request's frame.
    pub fn encode(&self) -> Result<Vec<u8>, RequestError> {
        self.check()?;
        let (kind, words) = match &self.command {
            Command::Shell(text) => (0, std::slice::from_ref(text)),
            Command::Program(words) => (1, words.as_slice()),
        };
        let input = self.stdin.as_ref().map_or(0, Vec::len);
        let size = words.iter().fold(input, |size, word| {
            size.saturating_add(HEADER).saturating_add(word.len())
        });
        if size > REQUEST_MAX {
            return Err(RequestError::TooLong);
        }
        let mut content = Vec::with_capacity(size + 32);
        content.extend([VERSION, kind]);
        let milliseconds = self.timeout.as_nanos().div_ceil(1_000_000);
        put_u32(
            &mut content,
            u32::try_from(milliseconds).unwrap_or(u32::MAX),
        );
        put_length(&mut content, words.len());
        for word in words {
            put_bytes(&mut content, word.as_bytes());
        }
        content.push(u8::from(self.stdin.is_some()));
        if let Some(input) = &self.stdin {
            put_bytes(&mut content, input);
        }
        if content.len() > REQUEST_MAX {
            return Err(RequestError::TooLong);
        }
        Ok(content)
    }

    /// Reads the content of a frame.
    pub fn decode(content: &[u8]) -> Result<Self, RequestError> {
        if content.len() > REQUEST_MAX {
            return Err(RequestError::TooLong);
        }
        let request = read_request(content).ok_or(RequestError::Malformed)?;
        request.check()?;
        Ok(request)
    }
}

fn read_request(content: &[u8]) -> Option<Request> {
    let mut rest = Rest(content);
    if rest.u8()? != VERSION {
        return None;
    }
    let kind = rest.u8()?;
    let timeout = Duration::from_millis(u64::from(rest.u32()?));
    let count = rest.u32()?;
    // Not made room for: a count of four billion costs a client nothing.
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(OsString::from_vec(rest.bytes(REQUEST_MAX)?.to_vec()));
    }
    let stdin = match rest.u8()? {
        0 => None,
        1 => Some(rest.bytes(REQUEST_MAX)?.to_vec()),
        _ => return None,
    };
    let command = match kind {
        0 if words.len() == 1 => Command::Shell(words.pop()?),
        1 => Command::Program(words),
        _ => return None,
    };
    rest.end()?;
    Some(Request {
        command,
        timeout,
        stdin,
    })
}

impl Outcome {
    /// The content of the reply's frame. A reason over [`REASON_MAX`] is cut, an output over
    /// [`Output::MAX`] is not written whole.
    pub fn encode(&self) -> Vec<u8> {
        let kept = self.stdout.bytes.len() + self.stderr.bytes.len();
        let mut content = Vec::with_capacity(kept.min(2 * Output::MAX) + REASON_MAX);
        content.push(VERSION);
        match &self.ending {
            Ending::Exited(code) => {
                content.push(0);
                put_u32(&mut content, code.cast_unsigned());
            }
            Ending::Signalled {
                signal,
                core_dumped,
            } => {
                content.push(1);
                put_u32(&mut content, signal.cast_unsigned());
                content.push(u8::from(*core_dumped));
            }
            Ending::TimedOut(limit) => {
                content.push(2);
                put_u32(
                    &mut content,
                    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX),
                );
            }
            Ending::Refused(reason) => {
                content.push(3);
                put_bytes(&mut content, cut(reason).as_bytes());
            }
            Ending::NotStarted(reason) => {
                content.push(4);
                put_bytes(&mut content, cut(reason).as_bytes());
            }
        }
        let microseconds = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX);
        content.extend(microseconds.to_be_bytes());
        for output in [&self.stdout, &self.stderr] {
            let end = output.bytes.len().min(Output::MAX);
            content.extend(output.total.to_be_bytes());
            put_bytes(&mut content, output.bytes.get(..end).unwrap_or_default());
        }
        content
    }

    /// Reads the content of a frame.
    pub fn decode(content: &[u8]) -> Result<Self, ReplyError> {
        read_reply(content).ok_or(ReplyError)
    }
}

fn read_reply(content: &[u8]) -> Option<Outcome> {
    let mut rest = Rest(content);
    if content.len() > REPLY_MAX || rest.u8()? != VERSION {
        return None;
    }
    let ending = match rest.u8()? {
        0 => Ending::Exited(rest.u32()?.cast_signed()),
        1 => Ending::Signalled {
            signal: rest.u32()?.cast_signed(),
            core_dumped: match rest.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            },
        },
        2 => Ending::TimedOut(Duration::from_millis(u64::from(rest.u32()?))),
        3 => Ending::Refused(rest.text()?),
        4 => Ending::NotStarted(rest.text()?),
        _ => return None,
    };
    let duration = Duration::from_micros(rest.u64()?);
    let stdout = rest.output()?;
    let stderr = rest.output()?;
    rest.end()?;
    Some(Outcome {
        ending,
        stdout,
        stderr,
        duration,
    })
}

fn put_u32(content: &mut Vec<u8>, number: u32) {
    content.extend(number.to_be_bytes());
}

fn put_length(content: &mut Vec<u8>, length: usize) {
    put_u32(content, u32::try_from(length).unwrap_or(u32::MAX));
}

fn put_bytes(content: &mut Vec<u8>, bytes: &[u8]) {
    put_length(content, bytes.len());
    content.extend_from_slice(bytes);
}

/// The text up to [`REASON_MAX`] bytes, never within a character.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(REASON_MAX))
        .unwrap_or_default()
}

/// What is still to be read of a content.
struct Rest<'c>(&'c [u8]);

impl<'c> Rest<'c> {
    fn take(&mut self, length: usize) -> Option<&'c [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, most: usize) -> Option<&'c [u8]> {
        let length = length(self.array()?, most)?;
        self.take(length)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes(REASON_MAX)?.to_vec()).ok()
    }

    fn output(&mut self) -> Option<Output> {
        let total = self.u64()?;
        let bytes = self.bytes(Output::MAX)?.to_vec();
        (total >= bytes.len() as u64).then_some(Output { bytes, total })
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests;
