//! Format of the channel between the workshop and the machine under test: no I/O policy here.
//!
//! A frame is a magic word, the length of a JSON header, the length of a body, then both. The
//! magic word makes a channel that fell out of step fail at once instead of hanging.

use std::io::{Read, Write};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

const MAGIC: [u8; 4] = *b"MwG1";

/// A header is a short command; longer ones are files, and go into the body.
const HEADER_LIMIT: u32 = 1 << 20;

/// Nothing that a scenario moves is larger.
const BODY_LIMIT: u32 = 256 << 20;

/// What the workshop asks of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Are you there?
    Ping,
    /// Run a shell command for at most that many seconds.
    Run {
        /// Given to `bash -c`.
        command: String,
        /// After this it is ended, with exit code 124.
        seconds: u64,
    },
    /// Write the body to a file.
    Push {
        /// Where to; directories are made.
        path: String,
        /// Permission bits.
        mode: u32,
    },
    /// Send a file back as the body.
    Pull {
        /// Which one.
        path: String,
    },
}

/// What the machine says to that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Pinged, or pushed.
    Done,
    /// Pulled: the file is the body.
    File,
    /// The command ended; the body is its output, then what it complained about.
    Ended {
        /// Exit code, or 128 plus the signal.
        status: i32,
        /// Where in the body the complaint begins.
        stdout: u32,
    },
    /// It could not be done.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Writes one frame.
pub(crate) fn write(to: &mut impl Write, header: &impl Serialize, body: &[u8]) -> Result<()> {
    let header = serde_json::to_vec(header)?;
    let header_length = u32::try_from(header.len())?;
    let body_length = u32::try_from(body.len())?;
    if header_length > HEADER_LIMIT || body_length > BODY_LIMIT {
        bail!("frame too large: {header_length} + {body_length} bytes");
    }
    let mut frame = Vec::with_capacity(12 + header.len() + body.len());
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&header_length.to_be_bytes());
    frame.extend_from_slice(&body_length.to_be_bytes());
    frame.extend_from_slice(&header);
    frame.extend_from_slice(body);
    to.write_all(&frame)
        .context("channel closed while writing")?;
    to.flush().context("channel closed while writing")
}

/// Reads one frame.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(from: &mut impl Read) -> Result<(T, Vec<u8>)> {
    let mut words = [[0; 4]; 3];
    for word in &mut words {
        from.read_exact(word)
            .context("channel closed while reading")?;
    }
    let [magic, header, body] = words;
    if magic != MAGIC {
        bail!("channel out of step: {magic:?}");
    }
    let (header, body) = (u32::from_be_bytes(header), u32::from_be_bytes(body));
    if header > HEADER_LIMIT || body > BODY_LIMIT {
        bail!("frame too large: {header} + {body} bytes");
    }
    let mut take = |length: u32| -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length)?];
        from.read_exact(&mut bytes)
            .context("channel closed while reading")?;
        Ok(bytes)
    };
    let header = take(header)?;
    let body = take(body)?;
    Ok((
        serde_json::from_slice(&header).context("header is not understood")?,
        body,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_went() {
        let request = Request::Push {
            path: "/etc/x".into(),
            mode: 0o640,
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &request, b"\0body\n").expect("written");
        let (back, body): (Request, _) = read(&mut bytes.as_slice()).expect("read");
        assert_eq!(back, request);
        assert_eq!(body, b"\0body\n");
    }

    #[test]
    fn what_is_not_a_frame_is_refused_before_anything_is_allocated() {
        let noise = [b'x'; 64];
        assert!(read::<Request>(&mut noise.as_slice()).is_err());
        let mut huge = MAGIC.to_vec();
        huge.extend_from_slice(&[0xff; 8]);
        let error = read::<Request>(&mut huge.as_slice()).expect_err("too large");
        assert!(error.to_string().contains("too large"));
    }
}
