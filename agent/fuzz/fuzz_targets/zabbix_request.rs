//! Requests: no body panics, and the answer to a JSON request is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::serve::zabbix::request::{Form, parse, write_answer, write_request_error};

fuzz_target!(|body: &[u8]| {
    let request = parse(body);
    let mut reply = Vec::new();
    match &request.key {
        Ok(key) => write_answer(request.form, Ok(key), &mut reply),
        Err(reason) => write_request_error(reason, &mut reply),
    }
    if request.form == Form::Json {
        let document: serde_json::Value = serde_json::from_slice(&reply).expect("JSON");
        if let Ok(key) = &request.key {
            assert_eq!(document["data"][0]["value"], key.as_ref());
        }
    }
});
