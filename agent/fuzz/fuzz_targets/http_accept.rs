//! What an HTTP client wants: no header panics, and only what is named is given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::serve::prometheus::Format;
use moonward::serve::prometheus::accept::takes_gzip;

fuzz_target!(|input: (&str, &str)| {
    let (accept, encoding) = input;
    if Format::accepted([accept]) == Format::OpenMetrics {
        let accept = accept.to_ascii_lowercase();
        assert!(accept.contains("application/openmetrics-text"));
    }
    if takes_gzip([encoding]) {
        let encoding = encoding.to_ascii_lowercase();
        assert!(encoding.contains("gzip") || encoding.contains('*'));
    }
});
