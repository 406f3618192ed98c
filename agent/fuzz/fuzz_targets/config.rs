//! Configuration: no text panics; what is refused has a reason and a place, in one line; what is
//! taken, written out in full, reads as the same.
#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use moonward::config::parse::{Source, parse};
use moonward::config::{Config, Environment, Problems, difference};

fn read(text: &[u8]) -> Result<Config, Problems> {
    let source = Source {
        path: PathBuf::from("fuzz.toml"),
        text: text.to_vec(),
    };
    let environment = Environment {
        hostname: "host".to_owned(),
        ..Environment::default()
    };
    parse(&[source], &environment, Problems::default())
}

fuzz_target!(|text: &[u8]| {
    match read(text) {
        Ok(config) => {
            let written = config.to_toml();
            let again = read(written.as_bytes()).unwrap_or_else(|problems| {
                panic!("{written}\nis refused: {problems}");
            });
            assert!(difference(&config, &again).is_empty(), "{written}");
            assert_eq!(config, again);
        }
        Err(problems) => {
            assert!(problems.count() > 0 && !problems.list().is_empty());
            assert!(problems.list().len() <= Problems::LISTED_MAX);
            let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
            for problem in problems.list() {
                let (line, column) = problem.position.expect("a mistake in a file has a place");
                assert!((1..=lines).contains(&line), "{problem}");
                assert!((1..=text.len() + 1).contains(&column), "{problem}");
                assert!(!problem.message.is_empty());
                assert!(!problem.message.contains(char::is_control), "{problem:?}");
                assert!(problem.message.len() <= 4096, "{problem}");
            }
        }
    }
});
