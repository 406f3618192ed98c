//! XML paths: no path and no document panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::lua::go::xmlpath::{RESULT_MAX, XmlPathError, find};

/// A document with something for every kind of step.
const DOCUMENT: &[u8] = b"<a id='1'><!--c--><b x='2' y='3'>t<c/>u</b><?p q?><b><c>v</c></b></a>";

fuzz_target!(|input: (&str, &[u8])| {
    let (path, document) = input;
    for document in [DOCUMENT, document] {
        match find(document, path) {
            Ok(texts) => assert!(texts.iter().map(String::len).sum::<usize>() <= RESULT_MAX),
            Err(XmlPathError::Path { at, .. }) => assert!(path.is_char_boundary(at)),
            Err(_) => {}
        }
    }
    let _whole = find(document, "//node()");
});
