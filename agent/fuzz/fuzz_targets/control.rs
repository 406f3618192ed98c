//! The control socket: no line panics, and what was understood reads back from what is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::serve::control::codec::{HEAD_MAX, Head, Request};

fuzz_target!(|line: &[u8]| {
    if let Ok(request) = Request::decode(line) {
        let written = request.encode();
        let feed = written.iter().position(|byte| *byte == b'\n');
        assert_eq!(feed, Some(written.len() - 1), "one line");
        assert_eq!(Request::decode(&written), Ok(request));
    }
    if let Some(head) = Head::decode(line) {
        let written = head.encode();
        assert!(written.len() <= HEAD_MAX);
        let again = Head::decode(&written).expect("what was written reads");
        // A message may be cut and lose its control characters, once.
        assert_eq!(again.encode(), written);
        match (&head, &again) {
            (Head::Ok, Head::Ok) => {}
            (Head::Error(one, _), Head::Error(two, _)) => assert_eq!(one, two),
            _ => panic!("{head:?} became {again:?}"),
        }
    }
});
