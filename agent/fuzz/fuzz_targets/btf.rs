//! BTF: no bytes panic or hang, and what is found lies where a structure can be.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use moonward::probe::btf::Btf;
use moonward::probe::offsets::{resolve, wanted_names};

static WANTED: LazyLock<Vec<String>> = LazyLock::new(wanted_names);

fuzz_target!(|bytes: &[u8]| {
    let wanted: Vec<&str> = WANTED.iter().map(String::as_str).collect();
    let Ok(btf) = Btf::parse(bytes, &wanted) else {
        return;
    };
    for object in ["block", "tcp", "process", "none"] {
        let _resolved = resolve(&btf, object);
    }
    for name in wanted {
        let member = btf.field(name, "no.such.member");
        assert!(member.is_err());
        if let Some(tracepoint) = name.strip_prefix("btf_trace_")
            && let Ok(arguments) = btf.tracepoint(tracepoint)
        {
            assert!(arguments.len() <= 0xffff);
        }
        if !btf.has_structure(name) {
            assert!(btf.field(name, "any").is_err());
        }
    }
});
