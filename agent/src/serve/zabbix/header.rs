//! The Zabbix frame: `ZBXD`, one byte of flags, two little-endian lengths, the body.
//!
//! Pure: takes bytes, gives bytes. It must never allocate by a length that a peer wrote before that
//! length was checked, and never inflate beyond the limit. Decoding works on what has arrived so
//! far, so a request may come byte by byte. Tests: below, and `fuzz/fuzz_targets/zabbix_header.rs`.

use std::io::Read;

use thiserror::Error;

/// The largest request taken, in bytes, compressed or not. Item keys are at most 2048 characters
/// in Zabbix; the rest is room for JSON and escapes.
pub const MAX_REQUEST: usize = 64 * 1024;

/// The length of a header without the large-packet flag, in bytes.
pub const HEADER_LEN: usize = 13;

const MAGIC: &[u8; 4] = b"ZBXD";
const FLAG_PROTOCOL: u8 = 0x01;
const FLAG_COMPRESSED: u8 = 0x02;

/// Why a frame was refused. The connection is closed without a reply, as `zabbix_agentd` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// The first bytes are not `ZBXD`: not a Zabbix peer, or a version before 4.0.
    #[error("the request does not begin with the ZBXD header")]
    Magic,
    /// Flags other than "protocol", optionally with "compressed"; large packets are for proxies.
    #[error("the header has flags {0:#04x}; only 0x01 and 0x03 are served")]
    Flags(u8),
    /// The body, as sent or when inflated, would be longer than [`MAX_REQUEST`].
    #[error("the request announces {0} bytes; the limit is {MAX_REQUEST}")]
    TooLarge(u32),
    /// Bytes follow the announced end of the body.
    #[error("bytes follow the end of the request")]
    TrailingBytes,
    /// The compressed body does not inflate to exactly the announced length.
    #[error("the compressed body does not inflate to the announced length")]
    Inflate,
}

/// Looks for a whole request in `input`, which holds everything received so far.
///
/// `Ok(None)` means that more bytes are needed. A compressed body is inflated into `scratch`.
pub fn decode<'a>(
    input: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, HeaderError> {
    let Some(header) = Header::read(input)? else {
        return Ok(None);
    };
    let body = input.get(HEADER_LEN..).unwrap_or_default();
    if body.len() < header.body_len {
        return Ok(None);
    }
    if body.len() > header.body_len {
        return Err(HeaderError::TrailingBytes);
    }
    match header.inflated_len {
        None => Ok(Some(body)),
        Some(len) => inflate(body, len, scratch).map(Some),
    }
}

/// Writes a plain frame with `body` to the end of `out`.
///
/// Both of Zabbix's own agents answer passive checks uncompressed, whatever the request was.
pub fn encode(body: &[u8], out: &mut Vec<u8>) {
    let at = begin(out);
    out.extend_from_slice(body);
    finish(out, at);
}

/// Writes a header whose length is not known yet and returns its position for [`finish`].
pub fn begin(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(MAGIC);
    out.push(FLAG_PROTOCOL);
    out.extend_from_slice(&[0; 8]);
    at
}

/// Fills in the length of the frame that [`begin`] opened at `at`; the body is everything behind it.
///
/// # Panics
/// Never for a position that came from [`begin`] on the same buffer, whose body is below 4 GiB.
pub fn finish(out: &mut [u8], at: usize) {
    let body_len = out.len().saturating_sub(at.saturating_add(HEADER_LEN));
    let length = u32::try_from(body_len).unwrap_or(u32::MAX).to_le_bytes();
    let field = at.saturating_add(5);
    if let Some(slot) = out.get_mut(field..field.saturating_add(4)) {
        slot.copy_from_slice(&length);
    }
}

struct Header {
    body_len: usize,
    inflated_len: Option<usize>,
}

impl Header {
    /// Checks each field as soon as it is there, so that garbage is refused by its first byte.
    fn read(input: &[u8]) -> Result<Option<Self>, HeaderError> {
        if input.iter().zip(MAGIC).any(|(got, want)| got != want) {
            return Err(HeaderError::Magic);
        }
        let Some(&flags) = input.get(MAGIC.len()) else {
            return Ok(None);
        };
        let compressed = match flags {
            FLAG_PROTOCOL => false,
            f if f == FLAG_PROTOCOL | FLAG_COMPRESSED => true,
            other => return Err(HeaderError::Flags(other)),
        };
        let Some(body_len) = field(input, 5) else {
            return Ok(None);
        };
        let body_len = bounded(body_len)?;
        let Some(reserved) = field(input, 9) else {
            return Ok(None);
        };
        // Uncompressed, the second field means nothing: agent2 6.0 repeats the length there.
        let inflated_len = compressed.then(|| bounded(reserved)).transpose()?;
        Ok(Some(Self {
            body_len,
            inflated_len,
        }))
    }
}

fn field(input: &[u8], at: usize) -> Option<u32> {
    let bytes = input.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

fn bounded(length: u32) -> Result<usize, HeaderError> {
    match usize::try_from(length) {
        Ok(len) if len <= MAX_REQUEST => Ok(len),
        _ => Err(HeaderError::TooLarge(length)),
    }
}

fn inflate<'a>(body: &[u8], len: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], HeaderError> {
    scratch.clear();
    // One byte more than announced, so that a longer stream shows itself without being inflated.
    let limit = u64::try_from(len).unwrap_or(u64::MAX).saturating_add(1);
    let mut bounded = flate2::read::ZlibDecoder::new(body).take(limit);
    match bounded.read_to_end(scratch) {
        Ok(read) if read == len => Ok(scratch.as_slice()),
        _ => Err(HeaderError::Inflate),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn frame(flags: u8, length: u32, reserved: u32, body: &[u8]) -> Vec<u8> {
        let mut frame = b"ZBXD".to_vec();
        frame.push(flags);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&reserved.to_le_bytes());
        frame.extend_from_slice(body);
        frame
    }

    fn compress(body: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn check(input: &[u8]) -> Result<Option<Vec<u8>>, HeaderError> {
        decode(input, &mut Vec::new()).map(|body| body.map(<[u8]>::to_vec))
    }

    #[test]
    fn a_plain_request_arrives_byte_by_byte() {
        let whole = frame(1, 10, 0, b"agent.ping");
        for end in 0..whole.len() {
            assert_eq!(check(&whole[..end]), Ok(None), "after {end} bytes");
        }
        assert_eq!(check(&whole), Ok(Some(b"agent.ping".to_vec())));
    }

    #[test]
    fn a_reserved_field_is_ignored_when_not_compressed() {
        // agent2 6.0 sends the length twice.
        assert_eq!(check(&frame(1, 2, 2, b"ab")), Ok(Some(b"ab".to_vec())));
    }

    #[test]
    fn a_compressed_request_is_inflated_to_the_announced_length_only() {
        let packed = compress(b"agent.ping");
        let length = u32::try_from(packed.len()).unwrap();
        assert_eq!(
            check(&frame(3, length, 10, &packed)),
            Ok(Some(b"agent.ping".to_vec()))
        );
        assert_eq!(
            check(&frame(3, length, 9, &packed)),
            Err(HeaderError::Inflate)
        );
        assert_eq!(
            check(&frame(3, length, 11, &packed)),
            Err(HeaderError::Inflate)
        );
        assert_eq!(check(&frame(3, 4, 10, b"junk")), Err(HeaderError::Inflate));
    }

    #[test]
    fn a_compression_bomb_is_not_inflated() {
        let packed = compress(&vec![0; 50 << 20]);
        let length = u32::try_from(packed.len()).unwrap();
        let mut scratch = Vec::new();
        let bomb = frame(3, length, 100, &packed);
        let _result = decode(&bomb, &mut scratch);
        assert!(
            scratch.capacity() <= 2 * MAX_REQUEST,
            "{}",
            scratch.capacity()
        );
    }

    #[test]
    fn bad_headers_are_refused_at_the_earliest_byte() {
        assert_eq!(check(b"G"), Err(HeaderError::Magic));
        assert_eq!(check(b"ZBXd"), Err(HeaderError::Magic));
        assert_eq!(check(b"ZBXD\x00"), Err(HeaderError::Flags(0)));
        assert_eq!(check(b"ZBXD\x05"), Err(HeaderError::Flags(5)));
        assert_eq!(
            check(b"ZBXD\x01\xff\xff\xff\xff"),
            Err(HeaderError::TooLarge(u32::MAX))
        );
        assert_eq!(
            check(&frame(3, 5, u32::MAX, b"")),
            Err(HeaderError::TooLarge(u32::MAX))
        );
        assert_eq!(
            check(&frame(1, 1, 0, b"ab")),
            Err(HeaderError::TrailingBytes)
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(body in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let mut out = Vec::new();
            encode(&body, &mut out);
            prop_assert_eq!(check(&out), Ok(Some(body)));
        }

        #[test]
        fn no_input_panics_or_overruns(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut scratch = Vec::new();
            let _result = decode(&input, &mut scratch);
            prop_assert!(scratch.capacity() <= 2 * MAX_REQUEST);
            let mut framed = b"ZBXD".to_vec();
            framed.extend_from_slice(&input);
            let _result = decode(&framed, &mut scratch);
        }
    }
}
