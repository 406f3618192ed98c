//! The runner's socket: no frame panics, and what reads is written back as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::runner::codec::{HEADER, REPLY_MAX, REQUEST_MAX, header, length};
use moonward::runner::{Outcome, Output, Request};

fuzz_target!(|content: &[u8]| {
    if let Ok(request) = Request::decode(content) {
        assert_eq!(request.encode().as_deref(), Ok(content));
        let shown = request.command.to_string();
        assert!(
            shown.len() <= 300 && !shown.contains(char::is_control),
            "{shown:?}"
        );
    }
    if let Ok(outcome) = Outcome::decode(content) {
        assert_eq!(outcome.encode(), content);
        assert!(outcome.stdout.bytes.len() <= Output::MAX);
    }
    if let Some(start) = content.first_chunk::<HEADER>()
        && let Some(bytes) = length(*start, REPLY_MAX)
    {
        assert!(bytes <= REPLY_MAX && REQUEST_MAX < REPLY_MAX);
        assert_eq!(header(bytes), *start);
    }
});
