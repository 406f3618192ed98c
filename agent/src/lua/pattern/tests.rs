use super::*;

/// What `string.match` gives: captures as text, positions from 1.
fn matched(subject: &str, pattern: &str) -> Result<Option<Vec<String>>, String> {
    let found = Pattern::compile(pattern.as_bytes())
        .and_then(|pattern| pattern.find(subject.as_bytes(), 0, &mut Budget::default()))
        .map_err(|error| error.to_string())?;
    let Some(found) = found else { return Ok(None) };
    let captures = found.captures().map_err(|error| error.to_string())?;
    let text = |capture| match capture {
        Capture::Text(range) => subject.get(range).unwrap().to_owned(),
        Capture::Position(at) => (at + 1).to_string(),
    };
    Ok(Some(captures.into_iter().map(text).collect()))
}

fn replaced(subject: &str, pattern: &str, replacement: &str) -> Result<String, PatternError> {
    let (result, _) = Pattern::compile(pattern.as_bytes())?.gsub(
        subject.as_bytes(),
        None,
        &mut Budget::default(),
        |found, out| expand(replacement.as_bytes(), found, subject.as_bytes(), out),
    )?;
    Ok(String::from_utf8(result).unwrap())
}

#[test]
fn captures_are_what_lua_gives() {
    for (subject, pattern, expected) in [
        (
            "MemTotal:  16 kB",
            "^(%S+):%s+(%d+)",
            Some(vec!["MemTotal", "16"]),
        ),
        ("key = value", "()=()", Some(vec!["5", "6"])),
        ("f(a(b)c)d", "%b()", Some(vec!["(a(b)c)"])),
        ("THE (quick) fox", "%f[%a]%a+%f[%A]", Some(vec!["THE"])),
        (
            "say \"it's\" now",
            "([\"'])(.-)%1",
            Some(vec!["\"", "it's"]),
        ),
        ("aaa", "a-b", None),
        ("aaa", "^a-$", Some(vec!["aaa"])),
        ("a]b", "[]]", Some(vec!["]"])),
        ("x^y", "[%^x]+", Some(vec!["x^"])),
    ] {
        let expected = expected.map(|texts| texts.into_iter().map(str::to_owned).collect());
        assert_eq!(
            matched(subject, pattern),
            Ok(expected),
            "{pattern} on {subject}"
        );
    }
}

#[test]
fn mistakes_have_the_engines_words() {
    for (pattern, expected) in [
        ("%", "malformed pattern (ends with '%')"),
        ("[a", "malformed pattern (missing ']')"),
        ("[a%", "malformed pattern (missing ']')"),
        ("%fa", "missing '[' after '%f' in pattern"),
        ("%b(", "unbalanced pattern"),
        (")", "invalid pattern capture"),
        ("%1", "invalid capture index"),
        ("(%1)", "invalid capture index"),
        ("%0", "invalid capture index"),
        ("(a", "unfinished capture"),
        (&"()".repeat(33), "too many captures"),
    ] {
        assert_eq!(matched("a", pattern), Err(expected.to_owned()), "{pattern}");
    }
    let long = vec![b'a'; PATTERN_MAX + 1];
    assert_eq!(Pattern::compile(&long), Err(PatternError::PatternTooLong));
}

#[test]
fn mistakes_are_told_when_matching_comes_to_them() {
    assert_eq!(matched("b", "a["), Ok(None));
    let found = find(b"a)", b")", 0, false, &mut Budget::default());
    assert_eq!(found.unwrap().unwrap().range(), 1..2);
}

#[test]
fn a_percent_sign_before_no_digit_stays_in_a_replacement() {
    let replaced = |replacement| replaced("a-b", "-", replacement);
    assert_eq!(replaced("%S"), Ok("a%Sb".to_owned()));
    assert_eq!(replaced("%%"), Ok("a%b".to_owned()));
    assert_eq!(replaced("%-%"), Ok("a%-%b".to_owned()));
    assert_eq!(replaced("<%0%1>"), Ok("a<-->b".to_owned()));
    assert_eq!(replaced("%2"), Err(PatternError::InvalidIndex));
}

#[test]
fn replacements_are_those_of_lua() {
    for (subject, pattern, replacement, expected) in [
        ("hello world", "(%w+)", "%1 %1", "hello hello world world"),
        ("hello world", "%w+ (%w+)", "%1", "world"),
        ("abc", "", "-", "-a-b-c-"),
        ("abc", "b*", "x", "xaxxcx"),
        ("aaa", "^a", "b", "baa"),
        ("ab", "()", "%1", "1a2b3"),
    ] {
        let result = replaced(subject, pattern, replacement);
        assert_eq!(result.as_deref(), Ok(expected), "{pattern} on {subject}");
    }
}

#[test]
fn work_is_bounded() {
    let subject = vec![b'a'; 100_000];
    let pattern = Pattern::compile(b".-.-.-.-.-b").unwrap();
    let mut budget = Budget::new(1_000_000);
    let result = pattern.find(&subject, 0, &mut budget);
    assert_eq!(result, Err(PatternError::TooComplex));
    assert_eq!(budget.left(), 0);

    let optional = "a?".repeat(250);
    let result =
        Pattern::compile(optional.as_bytes())
            .unwrap()
            .find(&subject, 0, &mut Budget::default());
    assert_eq!(result, Err(PatternError::TooComplex));
}

#[test]
fn lengths_are_bounded() {
    let long = vec![b'a'; SUBJECT_MAX + 1];
    let pattern = Pattern::compile(b"b").unwrap();
    let result = pattern.find(&long, 0, &mut Budget::default());
    assert_eq!(result, Err(PatternError::SubjectTooLong));

    let subject = vec![b'a'; 4096];
    let result = Pattern::compile(b"a").unwrap().gsub(
        &subject,
        None,
        &mut Budget::default(),
        |found, out| expand(&subject, found, &subject, out),
    );
    assert_eq!(result.map(|(result, _)| result.len()), Ok(RESULT_MAX));
    let longer = vec![b'a'; 4097];
    let result = Pattern::compile(b"a").unwrap().gsub(
        &subject,
        None,
        &mut Budget::default(),
        |found, out| expand(&longer, found, &subject, out),
    );
    assert_eq!(
        result.map(|(result, _)| result.len()),
        Err(PatternError::ResultTooLong)
    );
}

#[test]
fn the_start_of_a_search_counts_from_one_or_from_the_end() {
    for (init, expected) in [
        (1, 0),
        (0, 0),
        (3, 2),
        (9, 4),
        (-1, 3),
        (-9, 0),
        (i64::MIN, 0),
    ] {
        assert_eq!(offset(init, 4), expected, "{init}");
    }
}
