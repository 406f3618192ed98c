//! Go's package `path/filepath`: the parts of a path, as text. No file is looked at.

/// The last element: `.` for nothing, `/` for nothing but slashes. Slashes at the end do not count.
pub fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let Some(last) = path.iter().rposition(|byte| *byte != b'/') else {
        return b"/";
    };
    let path = path.get(..=last).unwrap_or_default();
    let start = path.iter().rposition(|byte| *byte == b'/');
    let start = start.map_or(0, |slash| slash + 1);
    path.get(start..).unwrap_or_default()
}

/// All but the last element, cleaned by [`clean`].
pub fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|byte| *byte == b'/');
    let end = end.map_or(0, |slash| slash + 1);
    clean(path.get(..end).unwrap_or_default())
}

/// The last element from its last dot on; empty without one.
pub fn ext(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| matches!(byte, b'.' | b'/')) {
        Some(at) if path.get(at) == Some(&b'.') => path.get(at..).unwrap_or_default(),
        _ => b"",
    }
}

/// The shortest path that means the same, as long as no element is a symbolic link: without `.`,
/// doubled slashes, a slash at the end, and `..` where what it undoes is known. Nothing is `.`.
pub fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut elements: Vec<&[u8]> = Vec::new();
    for element in path.split(|byte| *byte == b'/') {
        match element {
            b"" | b"." => {}
            b".." => match elements.last() {
                Some(last) if *last != b".." => {
                    elements.pop();
                }
                // There is nothing above the root.
                None if rooted => {}
                _ => elements.push(element),
            },
            _ => elements.push(element),
        }
    }
    let joined = elements.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &joined[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// A directory and a name in it as one clean path.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    clean(&[directory, name].join(&b'/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: impl AsRef<[u8]>) -> String {
        String::from_utf8(bytes.as_ref().to_vec()).unwrap()
    }

    #[test]
    fn zalua_45_base_dir_ext() {
        for (path, expected_base, expected_dir, expected_ext) in [
            ("", ".", ".", ""),
            ("x", "x", ".", ""),
            ("/", "/", "/", ""),
            ("///", "/", "/", ""),
            ("/a/", "a", "/a", ""),
            ("/a/b.tar.gz", "b.tar.gz", "/a", ".gz"),
            (".bashrc", ".bashrc", ".", ".bashrc"),
            ("a.d/b", "b", "a.d", ""),
            ("a/..//b/./c.lua", "c.lua", "b", ".lua"),
            ("../x.", "x.", "..", "."),
            ("/../x", "x", "/", ""),
        ] {
            assert_eq!(text(base(path.as_bytes())), expected_base, "{path}");
            assert_eq!(text(dir(path.as_bytes())), expected_dir, "{path}");
            assert_eq!(text(ext(path.as_bytes())), expected_ext, "{path}");
        }
    }

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, expected) in [
            ("", "."),
            ("a/b/../..", "."),
            ("a/../../b", "../b"),
            ("../../a", "../../a"),
            ("/..//../a/", "/a"),
            ("./a//b/.", "a/b"),
            ("...", "..."),
        ] {
            assert_eq!(text(clean(path.as_bytes())), expected, "{path}");
        }
        assert_eq!(text(join(b".", b"x")), "x");
        assert_eq!(text(join(b"/proc/../sys", b"x")), "/sys/x");
    }

    proptest! {
        #[test]
        fn a_clean_path_stays(path in "[a./]{0,16}") {
            let cleaned = clean(path.as_bytes());
            prop_assert_eq!(clean(&cleaned), cleaned.clone());
            prop_assert!(cleaned.len() <= path.len().max(1));
            prop_assert!(path.as_bytes().ends_with(ext(path.as_bytes())));
            prop_assert!(!base(path.as_bytes()).is_empty());
        }
    }
}
