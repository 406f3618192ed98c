use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Node {
    Node::String(text.as_bytes().to_vec())
}

fn mapping(entries: &[(&str, Node)]) -> Node {
    let entry = |(key, value): &(&str, Node)| (text(key), value.clone());
    Node::Mapping(entries.iter().map(entry).collect())
}

fn read(yaml: &str) -> Node {
    decode(yaml.as_bytes()).unwrap_or_else(|error| panic!("{error} in {yaml}"))
}

fn mistake(yaml: &str) -> String {
    decode(yaml.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_nested_mapping_is_read() {
    let inner = mapping(&[("b", Node::Int(1))]);
    assert_eq!(read("a:\n  b: 1\n"), mapping(&[("a", inner)]));
}

#[test]
fn scalars_are_those_of_version_1_1() {
    let float = Node::Float;
    for (yaml, expected) in [
        ("yes", Node::Bool(true)),
        ("y", Node::Bool(true)),
        ("On", Node::Bool(true)),
        ("TRUE", Node::Bool(true)),
        ("no", Node::Bool(false)),
        ("OFF", Node::Bool(false)),
        ("yEs", text("yEs")),
        ("'yes'", text("yes")),
        ("~", Node::Null),
        ("null", Node::Null),
        ("", Node::Null),
        ("\"\"", text("")),
        ("12", Node::Int(12)),
        ("+12", Node::Int(12)),
        ("-0x1F", Node::Int(-31)),
        ("1_000", Node::Int(1000)),
        ("010", Node::Int(8)),
        ("0o17", Node::Int(15)),
        ("0b101", Node::Int(5)),
        ("-0b101", Node::Int(-5)),
        ("08", float(8.0)),
        ("0x", text("0x")),
        ("9223372036854775807", Node::Int(i64::MAX)),
        ("-9223372036854775808", Node::Int(i64::MIN)),
        ("9223372036854775808", Node::Null),
        ("18446744073709551615", Node::Null),
        ("18446744073709551616", float(18_446_744_073_709_551_616.0)),
        ("-9223372036854775809", float(-9_223_372_036_854_775_809.0)),
        ("1.5", float(1.5)),
        (".5", float(0.5)),
        ("-1.", float(-1.0)),
        ("1e3", float(1000.0)),
        ("1_0.2_5", float(10.25)),
        (".inf", float(f64::INFINITY)),
        ("-.Inf", float(f64::NEG_INFINITY)),
        ("+", text("+")),
        ("-", Node::Sequence(vec![Node::Null])),
        ("1.2.3", text("1.2.3")),
        ("12:30", text("12:30")),
        ("2018-11-13", text("2018-11-13")),
        ("infinity", text("infinity")),
        ("+inf", text("+inf")),
        ("|\n  a\n  b\n", text("a\nb\n")),
        (">\n  1\n", text("1\n")),
    ] {
        assert_eq!(read(yaml), expected, "{yaml}");
    }
    assert!(matches!(read(".nan"), Node::Float(number) if number.is_nan()));
}

#[test]
fn tags_choose_the_type() {
    for (yaml, expected) in [
        ("!!str 12", text("12")),
        ("! 12", text("12")),
        ("!own yes", text("yes")),
        ("!!int '12'", Node::Int(12)),
        ("!!float 12", Node::Float(12.0)),
        ("!!bool 'no'", Node::Bool(false)),
        ("!!null ''", Node::Null),
        ("!!timestamp 2018-11-13", text("2018-11-13")),
        ("!!binary aGVsbG8=", text("hello")),
        ("!!binary |\n  aGVs\n  bG8h\n", text("hello!")),
        ("!!binary /w==", Node::String(vec![0xff])),
    ] {
        assert_eq!(read(yaml), expected, "{yaml}");
    }
    assert_eq!(
        mistake("a: !!int x"),
        "yaml: line 1: cannot decode !!str `x` as a !!int"
    );
    for yaml in [
        "!!binary a",
        "!!binary aGV",
        "!!binary a===",
        "!!binary aG=V",
        "!!binary aA==aA==",
    ] {
        let expected = "yaml: line 1: !!binary value contains invalid base64 data";
        assert_eq!(mistake(yaml), expected, "{yaml}");
    }
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let list = Node::Sequence(vec![Node::Int(1), Node::Int(2)]);
    let expected = mapping(&[("a", list.clone()), ("b", list)]);
    assert_eq!(read("a: &x [1, 2]\nb: *x\n"), expected);

    let yaml =
        "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nall:\n  b: 9\n  <<: [*base, *more]\n";
    let Node::Mapping(entries) = read(yaml) else {
        panic!()
    };
    let all = [
        ("b", Node::Int(9)),
        ("a", Node::Int(1)),
        ("c", Node::Int(4)),
    ];
    assert_eq!(entries[2].1, mapping(&all));

    assert_eq!(read("{<<: {a: 1}, a: 2}"), mapping(&[("a", Node::Int(2))]));
    assert_eq!(read("{'<<': 1}"), mapping(&[("<<", Node::Int(1))]));
    let expected = "yaml: line 1: map merge requires map or sequence of maps as the value";
    assert_eq!(mistake("<<: 1"), expected);
    assert_eq!(mistake("<<: [1]"), expected);
    assert_eq!(
        mistake("&a [*a]"),
        "yaml: line 1: anchor value contains itself"
    );
}

#[test]
fn keys_are_converted_like_values() {
    let entries = vec![
        (Node::Int(1), text("a")),
        (Node::Bool(true), text("c")),
        (Node::Float(1.5), Node::Null),
        (text("1"), text("d")),
    ];
    assert_eq!(
        read("1: a\nyes: b\n1.5:\n'1': d\non: c\n"),
        Node::Mapping(entries)
    );
    assert_eq!(
        mistake("a: 1\n? [b]\n: 2\n"),
        "yaml: line 2: invalid map key: a list or a mapping"
    );
}

#[test]
fn only_the_first_document_counts() {
    assert_eq!(read("--- 1\n--- 2\n--- [\n"), Node::Int(1));
    assert_eq!(read("# nothing\n"), Node::Null);
}

#[test]
fn mistakes_have_a_line() {
    assert!(mistake("a: 1\nb: [1\n").starts_with("yaml: line "));
    let error = decode(b"a: 1\nb: \xff\n").unwrap_err();
    assert_eq!(error.to_string(), "yaml: line 2: invalid UTF-8");
}

#[test]
fn small_texts_do_not_become_large() {
    let level = |level: usize| {
        let alias = format!("*a{}", level - 1);
        format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(","))
    };
    let laughs: Vec<_> = (1..12).map(level).collect();
    let laughs = format!("a0: &a0 [x,x,x,x,x,x,x,x,x]\n{}", laughs.concat());
    assert!(mistake(&laughs).contains("more than 262144 values"));

    let long = "x".repeat(1 << 20);
    let repeated = format!("- &a {long}\n{}", "- *a\n".repeat(64));
    assert!(mistake(&repeated).contains("bytes of strings"));

    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    assert!(mistake(&deep).contains("levels deep"));
    assert!(mistake(&"- ".repeat(101)).contains("levels deep"));
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(decode(deep(100).as_bytes()).is_ok());
    let chain = format!(
        "- &a {}\n- [{}*a{}]\n",
        deep(60),
        "[".repeat(39),
        "]".repeat(39)
    );
    assert!(mistake(&chain).contains("levels deep"));
    assert!(mistake(&" ".repeat(TEXT_MAX + 1)).contains("longer than"));
}

#[test]
fn the_parser_looks_so_far_ahead_and_no_further() {
    // None of these was counted before all of it was in memory.
    for before in ["[", "{"] {
        for part in [
            "1,", "[],", "{a: 1},", "\"a\":1,", "&a ", "!a ", "? ", "*a,", "a: b,", "b,\n",
        ] {
            let text = format!("{before}{}", part.repeat(3_500_000 / part.len()));
            let complaint = mistake(&text);
            assert!(complaint.contains("json.decode"), "{text:.20} {complaint}");
        }
    }
    let list = |count: usize| format!("[{}1]", "1,".repeat(count));
    assert!(decode(list(FLOW_MAX - 3).as_bytes()).is_ok());
    let complaint = mistake(&format!("a: 1\nb:\n- {}", list(FLOW_MAX + 200)));
    assert!(
        complaint.starts_with("yaml: line 3: more than some 65536"),
        "{complaint}"
    );
    // Many of them, each told before the next begins, and texts with brackets in them.
    let many = format!("- {}\n", list(1_000)).repeat(200);
    assert!(decode(many.as_bytes()).is_ok());
    let prose = format!(
        "- |\n  {}\n",
        "(Well, it is so: yes; a 'text'.) ".repeat(50_000)
    );
    assert!(decode(prose.as_bytes()).is_ok());
    let block = "- a: 'b, [c]'\n".repeat(80_000);
    assert!(decode(block.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn anything_is_a_tree_or_a_mistake(pieces in prop::collection::vec(prop::sample::select(&[
        "a", "b: ", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "<<: ", "? ", "|\n", ">", "'", "\"",
        "#", "---\n", "...\n", "!!int ", "%", "1", "0x", "~", "é", "\t", "\r",
    ][..]), 0..24)) {
        if let Ok(tree) = decode(pieces.concat().as_bytes()) {
            let size = tree.size();
            prop_assert!(size.nodes <= NODES_MAX && size.depth <= DEPTH_MAX);
        }
    }

    #[test]
    fn what_json_writes_is_read(numbers in prop::collection::vec(any::<i32>(), 0..8), name in "[a-z]{1,8}") {
        let json = serde_json::json!({ format!("k{name}"): numbers });
        let list = numbers.iter().map(|number| Node::Int((*number).into())).collect();
        prop_assert_eq!(read(&json.to_string()), mapping(&[(&format!("k{name}"), Node::Sequence(list))]));
    }
}
