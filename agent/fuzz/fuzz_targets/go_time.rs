//! Times by a layout: no input panics, and what is read lies within the years of four digits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::lua::go::time::parse;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (layout, value) = input;
    if let Ok(time) = parse(layout, value) {
        assert!(time.nanoseconds < 1_000_000_000);
        // Years 0 to 9999, and up to 99 hours east or west.
        assert!((-62_167_600_000..=253_402_700_000).contains(&time.seconds));
    }
});
