//! Tests of the BTF reader: on the running kernel, on a hand-made BTF, on garbage.

use proptest::prelude::*;

use super::*;

/// Builds BTF by hand.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len();
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        u32::try_from(at).unwrap()
    }

    fn add(&mut self, name: &str, kind: u32, flag: bool, size_or_type: u32, rest: &[[u32; 3]]) {
        let name = self.name(name);
        let vlen = u32::try_from(rest.len()).unwrap();
        let info = vlen | kind << 24 | u32::from(flag) << 31;
        for word in [name, info, size_or_type].into_iter().chain(
            rest.iter()
                .flatten()
                .copied()
                .filter(|word| *word != u32::MAX),
        ) {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
    }

    fn int(&mut self, name: &str, bytes: u32) {
        self.add(name, 1, false, bytes, &[]);
        self.types.extend_from_slice(&(bytes * 8).to_ne_bytes());
    }

    fn build(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC.to_ne_bytes());
        bytes.extend_from_slice(&[1, 0]);
        let types = u32::try_from(self.types.len()).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        for word in [24, 0, types, types, strings] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&self.types);
        bytes.extend_from_slice(&self.strings);
        bytes
    }
}

/// `struct outer { u64 first; struct { u32 a; union { u16 b; u32 c; }; }; u8 bits:3; }` and a
/// tracepoint `btf_trace_thing(void *, const struct outer *, status_t)`.
fn sample() -> Vec<u8> {
    let mut builder = Builder::new();
    builder.int("u64", 8); // 1
    builder.int("u32", 4); // 2
    builder.int("u16", 2); // 3
    let (b, c) = (builder.name("b"), builder.name("c"));
    builder.add("", 5, false, 4, &[[b, 3, 0], [c, 2, 0]]); // 4
    let a = builder.name("a");
    builder.add("", 4, false, 8, &[[a, 2, 0], [0, 4, 32]]); // 5
    let (first, bits) = (builder.name("first"), builder.name("bits"));
    builder.add(
        "outer",
        4,
        true,
        24,
        &[[first, 1, 0], [0, 5, 64], [bits, 2, (3 << 24) + 129]],
    ); // 6
    builder.add("", 10, false, 6, &[]); // 7 const
    builder.add("", 2, false, 7, &[]); // 8 pointer
    builder.add("status_t", 8, false, 2, &[]); // 9
    builder.add("", 2, false, 0, &[]); // 10 void *
    builder.add(
        "",
        13,
        false,
        0,
        &[[0, 10, u32::MAX], [0, 8, u32::MAX], [0, 9, u32::MAX]],
    ); // 11
    builder.add("", 2, false, 11, &[]); // 12
    builder.add("btf_trace_thing", 8, false, 12, &[]); // 13
    let bit = builder.name("__FLAG_BIT");
    builder.add("", 6, false, 4, &[[bit, 7, u32::MAX]]); // 14
    builder.build()
}

const WANTED: &[&str] = &["outer", "btf_trace_thing", "__FLAG_BIT"];

#[test]
fn members_are_found_through_anonymous_nesting() {
    let bytes = sample();
    let btf = Btf::parse(&bytes, WANTED).unwrap();
    let field = |path| {
        btf.field("outer", path)
            .map(|field| (field.bit_offset, field.bits))
    };
    assert_eq!(field("first"), Ok((0, 64)));
    assert_eq!(field("a"), Ok((64, 32)));
    assert_eq!(field("b"), Ok((96, 16)));
    assert_eq!(field("c"), Ok((96, 32)));
    assert_eq!(field("bits"), Ok((129, 3)));
    assert_eq!(
        field("nothing").unwrap_err().to_string(),
        "struct outer has no member nothing on this kernel"
    );
    assert_eq!(
        btf.field("inner", "x").unwrap_err().to_string(),
        "this kernel has no struct inner"
    );
    assert_eq!(btf.enumerator("__FLAG_BIT"), Some(7));
}

#[test]
fn tracepoint_arguments_lose_their_qualifiers() {
    let bytes = sample();
    let btf = Btf::parse(&bytes, WANTED).unwrap();
    assert_eq!(
        btf.tracepoint("thing").unwrap(),
        [
            Argument::Pointer("outer".into()),
            Argument::Scalar("status_t".into())
        ]
    );
    assert!(btf.tracepoint("other").is_err());
}

#[test]
fn what_is_no_btf_is_refused() {
    assert_eq!(Btf::parse(&[], &[]).unwrap_err(), BtfError::Short);
    assert_eq!(Btf::parse(&[0; 64], &[]).unwrap_err(), BtfError::Magic(0));
    let mut bytes = sample();
    bytes[2] = 2;
    assert_eq!(Btf::parse(&bytes, &[]).unwrap_err(), BtfError::Version(2));
    let bytes = sample();
    for end in 0..bytes.len() {
        assert!(Btf::parse(&bytes[..end], WANTED).is_err(), "{end}");
    }
}

#[test]
fn names_that_do_not_end_cost_little() {
    // Every type has a name of its own in a megabyte without a NUL: 20 GB to walk if each were
    // followed to its end.
    let mut builder = Builder::new();
    builder.strings.extend_from_slice(&vec![b'x'; 1 << 20]);
    for _ in 0..20_000 {
        builder.types.extend_from_slice(&1_u32.to_ne_bytes());
        builder
            .types
            .extend_from_slice(&(4_u32 << 24).to_ne_bytes());
        builder.types.extend_from_slice(&[0; 4]);
    }
    let long = "x".repeat(1 << 20);
    let bytes = builder.build();
    let btf = Btf::parse(&bytes, &[&long]).unwrap();
    assert_eq!(btf.starts.len(), 20_001);
    assert!(!btf.has_structure(&long) && btf.name(1).is_empty());
    // One that ends is found up to the longest.
    let mut builder = Builder::new();
    let longest = "x".repeat(NAME_MAX - 1);
    builder.add(&longest, 4, false, 0, &[]);
    builder.add(&"y".repeat(NAME_MAX), 4, false, 0, &[]);
    let bytes = builder.build();
    let beyond = "y".repeat(NAME_MAX);
    let btf = Btf::parse(&bytes, &[&longest, &beyond]).unwrap();
    assert!(btf.has_structure(&longest) && !btf.has_structure(&beyond));
}

#[test]
fn the_running_kernel_is_read() {
    let Ok(bytes) = std::fs::read(KERNEL_BTF) else {
        println!("skipped: {KERNEL_BTF} cannot be read");
        return;
    };
    let wanted = [
        "request",
        "task_struct",
        "sock",
        "btf_trace_sched_process_exit",
    ];
    let btf = Btf::parse(&bytes, &wanted).unwrap();
    assert!(btf.starts.len() > 10_000);
    let start = btf.field("request", "start_time_ns").unwrap();
    assert_eq!((start.bits, start.bit_offset % 64), (64, 0));
    assert_eq!(
        btf.field("sock", "__sk_common.skc_family").unwrap().bits,
        16
    );
    let arguments = btf.tracepoint("sched_process_exit").unwrap();
    assert_eq!(arguments[0], Argument::Pointer("task_struct".into()));
}

proptest! {
    #[test]
    fn garbage_never_panics(tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = sample();
        bytes.truncate(24);
        bytes.extend_from_slice(&tail);
        probe(&bytes);
    }

    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((0..400_usize, any::<u8>()), 1..20),
    ) {
        let mut bytes = sample();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        probe(&bytes);
    }
}

fn probe(bytes: &[u8]) {
    if let Ok(btf) = Btf::parse(bytes, WANTED) {
        for path in ["first", "a", "b", "c", "bits", "a.b", "first.first", ""] {
            drop(btf.field("outer", path));
        }
        drop(btf.tracepoint("thing"));
        for id in 0..64 {
            let _ = (btf.bits(id), btf.argument(id));
        }
    }
}
