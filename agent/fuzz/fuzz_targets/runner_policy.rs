//! The runner's allow-list: no text panics; what is refused has a reason and a place, in one line;
//! and a list never allows a shell text that it does not hold.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use moonward::runner::{Policy, Request};

const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nmoonward:x:998:998::/:/bin/false\n";

fuzz_target!(|text: &[u8]| {
    match Policy::parse(Path::new("fuzz.toml"), text, USERS) {
        Ok(policy) => {
            assert!(policy.entries().is_some());
            let absent = "a text that no corpus holds: \u{1}\u{2}\u{3}";
            assert!(policy.judge(&Request::shell(absent).command).is_err());
            assert!(
                policy
                    .judge(&Request::program(["relative"]).command)
                    .is_err()
            );
            assert!(policy.may_ask(0));
        }
        Err(mistakes) => {
            assert!((1..=1000).contains(&mistakes.list().len()));
            let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
            for problem in mistakes.list() {
                let (line, column) = problem.position.expect("a mistake in a file has a place");
                assert!((1..=lines).contains(&line), "{problem}");
                assert!((1..=text.len() + 1).contains(&column), "{problem}");
                assert!(!problem.message.contains(char::is_control), "{problem:?}");
            }
        }
    }
});
