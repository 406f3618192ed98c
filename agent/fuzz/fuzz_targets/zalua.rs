//! ZaLua's protocol: every sequence of bytes is a request, and a key arrives as it was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::serve::zalua::codec::{Request, get_request};

fuzz_target!(|bytes: &[u8]| {
    if let Request::Get(name, tags) = Request::decode(bytes) {
        assert!(!name.contains(' '));
        for (tag, value) in tags {
            assert!(!tag.contains([' ', '=']) && !value.contains([' ', '=']));
        }
    }
    let request = get_request(bytes);
    match (Request::decode(&request), std::str::from_utf8(bytes)) {
        (Request::Get(name, _), Ok(key)) => assert_eq!(Some(name), key.split(' ').next()),
        (Request::Unknown, Err(_)) => {}
        (other, _) => panic!("{other:?}"),
    }
});
