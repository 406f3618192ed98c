use proptest::prelude::*;

use super::*;

const CHANNELS: &str = r#"<?xml version="1.0"?>
<!DOCTYPE channels SYSTEM "channels.dtd">
<channels xmlns:x="urn:x">
  <!-- all of them -->
  <channel id="xz1" xz1-id="1">first <b>bold</b></channel>
  <channel id="xz2" x:kind="live">second</channel>
  <?mark here?>
  <x:group><channel id="xz3"><title>third</title><note/></channel></x:group>
</channels>"#;

fn texts(path: &str) -> Vec<String> {
    find(CHANNELS.as_bytes(), path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn paths_find_what_they_should() {
    for (path, expected) in [
        ("/channels/channel/@id", &["xz1", "xz2"][..]),
        ("channels/channel", &["first bold", "second"]),
        ("//channel/@id", &["xz1", "xz2", "xz3"]),
        ("/channels//@id", &["xz1", "xz2", "xz3"]),
        ("//@kind", &["live"]),
        ("//group/channel/title", &["third"]),
        ("//channel[2]", &["second"]),
        ("//channel[last()]/@id", &["xz2", "xz3"]),
        ("//channel[position()=1]/@id", &["xz1", "xz3"]),
        ("/channels/channel[b]/@id", &["xz1"]),
        ("//channel[@id='xz2']", &["second"]),
        ("//channel[@id=\"xz3\"]/title", &["third"]),
        ("//channel[title='third']/@id", &["xz3"]),
        ("//channel[not(@kind)]/@id", &["xz1", "xz3"]),
        ("//channel[b or title]/@id", &["xz1", "xz3"]),
        ("//channel[b and title]/@id", &[]),
        ("//channel[(b or title) and not(note)]/@id", &["xz1"]),
        ("//channel[contains(., 'co')]/@id", &["xz2"]),
        ("//channel[starts-with(@id, 'xz')][3]", &[]),
        ("/channels/channel[starts-with(@id, 'xz')][2]/@id", &["xz2"]),
        ("//channel/text()", &["first ", "second"]),
        ("//b/..//text()", &["first ", "bold"]),
        ("/channels/comment()", &[" all of them "]),
        ("/channels/processing-instruction()", &["here"]),
        ("/channels/processing-instruction('other')", &[]),
        ("//title/ancestor::*/@id", &["xz3"]),
        ("//title/ancestor-or-self::node()[1]", &["third"]),
        ("//note/preceding::channel/@id", &["xz2", "xz1"]),
        ("//note/preceding-sibling::*", &["third"]),
        ("//b/following::channel/@id", &["xz2", "xz3"]),
        ("//b/following::*[last()]/../@id", &["xz3"]),
        ("//title/following-sibling::note/../@id", &["xz3"]),
        ("//@id/parent::channel/title", &["third"]),
        ("//@id[.='xz3']/following::title", &["third"]),
        ("//@id/self::node()[.='xz2']", &["xz2"]),
        ("//@id/ancestor::group/channel/@id", &["xz3"]),
        ("self::node()/child::channels/descendant::title", &["third"]),
        (
            "//*[self::note]/..//title/descendant-or-self::*",
            &["third"],
        ),
        (" / channels / channel [ @id = 'xz1' ] / b ", &["bold"]),
        ("//channel[/channels/group]/@id", &["xz1", "xz2", "xz3"]),
        ("//nothing", &[]),
    ] {
        assert_eq!(texts(path), expected, "{path}");
    }
    assert_eq!(texts("/").len(), 1);
}

#[test]
fn a_bad_path_is_told_with_its_place() {
    for (path, expected) in [
        ("", r#"compiling xml path "":0: missing name"#),
        ("a/", r#"compiling xml path "a/":2: missing name"#),
        ("a[", r#"compiling xml path "a[":2: missing name"#),
        ("a[b", r#"compiling xml path "a[b":3: expected ']'"#),
        (
            "a[0]",
            r#"compiling xml path "a[0]":2: positions must be positive"#,
        ),
        (
            "a[b=c]",
            r#"compiling xml path "a[b=c]":4: expected a literal string"#,
        ),
        (
            "a[b='c]",
            r#"compiling xml path "a[b='c]":4: expected a literal string"#,
        ),
        (
            "foo::a",
            r#"compiling xml path "foo::a":0: unknown axis: foo"#,
        ),
        (
            "namespace::a",
            r#"compiling xml path "namespace::a":0: unknown axis: namespace"#,
        ),
        ("a b", r#"compiling xml path "a b":2: unexpected 'b'"#),
        (
            "x:a",
            r#"compiling xml path "x:a":1: prefixes of namespaces are not supported"#,
        ),
        (
            "count(a)",
            r#"compiling xml path "count(a)":5: unknown test: count()"#,
        ),
        (
            "a[contains(b)]",
            r#"compiling xml path "a[contains(b)]":12: expected ','"#,
        ),
    ] {
        assert_eq!(find(b"<a/>", path).unwrap_err().to_string(), expected);
    }
    let deep = format!("a{}1{}", "[b".repeat(33), "]".repeat(33));
    let problem = find(b"<a/>", &deep).unwrap_err().to_string();
    assert!(
        problem.ends_with("nested more than 32 levels deep"),
        "{problem}"
    );
    assert!(find(b"<a/>", &"a".repeat(PATH_MAX + 1)).is_err());
}

#[test]
fn a_bad_document_is_told() {
    for xml in [
        "",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b='<'/>",
        "<a>&nbsp;</a>",
        "text",
    ] {
        let problem = find(xml.as_bytes(), "/a").unwrap_err().to_string();
        assert!(problem.starts_with("XML syntax error: "), "{problem}");
    }
    assert!(find(b"<a>\xff</a>", "/a").is_err());
}

#[test]
fn documents_are_bounded() {
    let problem = |xml: &str| find(xml.as_bytes(), "/a").unwrap_err().to_string();
    let entity = "<!DOCTYPE a [<!ENTITY x 'yyyy'>]><a>&x;</a>";
    assert!(problem(entity).contains("entities"));
    let attributes: Vec<_> = (0..=ATTRIBUTES_MAX)
        .map(|number| format!("a{number}='>'"))
        .collect();
    let attributes = attributes.join(" ");
    assert!(problem(&format!("<a {attributes}/>")).contains("attributes"));
    assert!(problem(&"<a xmlns='x'>".repeat(NAMESPACES_MAX + 1)).contains("namespaces"));
    let many = format!("<a>{}</a>", "<b/>".repeat(NODES_MAX as usize));
    assert!(problem(&many).contains("nodes"));
    assert!(problem(&" ".repeat(TEXT_MAX + 1)).contains("longer"));
    // Depth costs nothing.
    let deep = format!("{}x{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    assert_eq!(find(deep.as_bytes(), "/a"), Ok(vec!["x".to_owned()]));
}

#[test]
fn searches_are_bounded() {
    let wide = format!("<a>{}</a>", "<b/>".repeat(20_000));
    let result = find(wide.as_bytes(), "//b/following::b");
    assert_eq!(result, Err(XmlPathError::TooComplex));
    let deep = format!("{}x{}", "<a>".repeat(20_000), "</a>".repeat(20_000));
    assert_eq!(find(deep.as_bytes(), "//a"), Err(XmlPathError::TooComplex));
}

proptest! {
    #[test]
    fn any_path_is_read_or_refused(pieces in prop::collection::vec(prop::sample::select(&[
        "channel", "channels", "@id", "/", "//", "[", "]", "(", ")", ".", "..", "*", "::", "parent::", "preceding::",
        "following::", "not(", "contains(", "position()=", "last()", "1", "='", "'", "xz1", " and ", " or ", ",",
        "text()", "node()", "é",
    ][..]), 0..10)) {
        let path = pieces.concat();
        match find(CHANNELS.as_bytes(), &path) {
            Ok(_) => {}
            Err(XmlPathError::Path { at, .. }) => prop_assert!(path.is_char_boundary(at)),
            Err(error) => prop_assert_eq!(error, XmlPathError::TooComplex),
        }
    }

    #[test]
    fn any_text_is_a_document_or_not(pieces in prop::collection::vec(prop::sample::select(&[
        "<a>", "</a>", "<b x='1'/>", "<", ">", "&amp;", "&#65;", "&x;", "<!--", "-->", "<![CDATA[", "]]>", "<?p q?>",
        "<!DOCTYPE a>", "text", " ", "'", "\"", "=",
    ][..]), 0..16)) {
        let xml = pieces.concat();
        if let Ok(found) = find(xml.as_bytes(), "//node()") {
            prop_assert!(found.len() <= xml.len());
        }
    }
}
