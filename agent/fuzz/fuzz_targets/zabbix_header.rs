//! Frames: no input panics, a decoded body is bounded, and what is cut short needs more or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::serve::zabbix::header::{MAX_REQUEST, decode, encode};

fuzz_target!(|input: &[u8]| {
    let mut scratch = Vec::new();
    if let Ok(Some(body)) = decode(input, &mut scratch) {
        assert!(body.len() <= MAX_REQUEST);
        let shorter = input.get(..input.len() - 1).unwrap_or_default();
        assert_eq!(decode(shorter, &mut Vec::new()), Ok(None));
    }
    assert!(scratch.capacity() <= 2 * MAX_REQUEST);
    let mut frame = Vec::new();
    encode(input, &mut frame);
    if input.len() <= MAX_REQUEST {
        assert_eq!(decode(&frame, &mut scratch), Ok(Some(input)));
    }
});
