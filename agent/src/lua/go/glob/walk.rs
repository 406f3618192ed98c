//! The search for files, directory by directory.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::super::filepath::join;
use super::name::{NamePattern, PATTERN_MAX, is_special};

/// The most paths that one pattern may give.
pub const RESULTS_MAX: usize = 65_536;

/// The most directory entries that one pattern may look at.
pub const ENTRIES_MAX: usize = 1_000_000;

/// Why a pattern gave no paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// The pattern is malformed, or longer than [`PATTERN_MAX`].
    #[error("syntax error in pattern")]
    BadPattern,
    /// It fits more than [`RESULTS_MAX`] paths, or [`ENTRIES_MAX`] entries were looked at.
    #[error(
        "pattern fits too many files (at most {RESULTS_MAX} paths, in directories of \
         {ENTRIES_MAX} entries)"
    )]
    TooMany,
}

/// The paths that fit a pattern, sorted by bytes within each directory. `*` is any part of a name,
/// `?` one character, `[a-z]` one of a set, `[^a-z]` one of the others, `\` takes the meaning from
/// the next character. Names that start with a dot fit too. What cannot be read is left out.
///
/// It reads directories and may wait for as long as the file system does.
///
/// # Errors
/// When the pattern is malformed (in any of its elements) or fits too much.
pub fn glob(pattern: &[u8]) -> Result<Vec<Vec<u8>>, GlobError> {
    if pattern.len() > PATTERN_MAX {
        return Err(GlobError::BadPattern);
    }
    if !is_special(pattern) {
        // Go gives the pattern as it is, not cleaned.
        let path = pattern.to_vec();
        return Ok(if exists(&path) {
            vec![path]
        } else {
            Vec::new()
        });
    }
    let parse = |element| NamePattern::parse(element).ok_or(GlobError::BadPattern);
    let (start, elements) = split(pattern);
    let elements: Result<Vec<_>, _> = elements.into_iter().map(parse).collect();
    let mut entries = 0;
    let mut paths = vec![start];
    for element in elements? {
        let mut next = Vec::new();
        for directory in paths {
            look(&directory, &element, &mut entries, &mut next)?;
        }
        paths = next;
    }
    Ok(paths)
}

/// The directory before the first special element, and the elements from there on.
fn split(pattern: &[u8]) -> (Vec<u8>, Vec<&[u8]>) {
    let special = pattern.iter().position(|byte| b"*?[\\".contains(byte));
    let plain = pattern
        .get(..special.unwrap_or_default())
        .unwrap_or_default();
    let slash = plain.iter().rposition(|byte| *byte == b'/');
    let (start, rest) = match slash {
        None => (&b"."[..], pattern),
        Some(at) => {
            let start = pattern.get(..at).unwrap_or_default();
            let rest = pattern.get(at + 1..).unwrap_or_default();
            (if at == 0 { b"/" } else { start }, rest)
        }
    };
    let elements = rest.split(|byte| *byte == b'/');
    // Slashes side by side are one.
    (
        start.to_vec(),
        elements.filter(|element| !element.is_empty()).collect(),
    )
}

/// Adds the entries of a directory that fit.
fn look(
    directory: &[u8],
    pattern: &NamePattern,
    entries: &mut usize,
    paths: &mut Vec<Vec<u8>>,
) -> Result<(), GlobError> {
    let mut add = |name: &[u8]| {
        if paths.len() >= RESULTS_MAX {
            return Err(GlobError::TooMany);
        }
        paths.push(join(directory, name));
        Ok(())
    };
    // One name need not be looked for: `/proc/*/io` would read every directory in `/proc`.
    if let Some(name) = pattern.plain_name() {
        let path = [directory, &name].join(&b'/');
        return if exists(&path) { add(&name) } else { Ok(()) };
    }
    let Ok(read) = fs::read_dir(Path::new(OsStr::from_bytes(directory))) else {
        return Ok(());
    };
    let mut names = Vec::new();
    for entry in read {
        *entries += 1;
        if *entries > ENTRIES_MAX {
            return Err(GlobError::TooMany);
        }
        let Ok(entry) = entry else {
            break;
        };
        let name = entry.file_name().into_vec();
        if pattern.fits(&name) {
            names.push(name);
        }
    }
    names.sort_unstable();
    names.iter().try_for_each(|name| add(name))
}

fn exists(path: &[u8]) -> bool {
    fs::symlink_metadata(Path::new(OsStr::from_bytes(path))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for path in [
            "b/1/io",
            "b/2/io",
            "a/1/io",
            "a/x/other",
            ".hidden/1/io",
            "a*b/1/io",
        ] {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", tree.path().join("a/1/dead")).unwrap();
        tree
    }

    fn paths(tree: &tempfile::TempDir, pattern: &str) -> Vec<String> {
        let root = tree.path().to_str().unwrap();
        let found = glob(format!("{root}/{pattern}").as_bytes()).unwrap();
        let relative = |path| {
            let path = String::from_utf8(path).unwrap();
            path.strip_prefix(root)
                .unwrap()
                .trim_start_matches('/')
                .to_owned()
        };
        found.into_iter().map(relative).collect()
    }

    #[test]
    fn zalua_45_glob() {
        let tree = tree();
        assert_eq!(paths(&tree, "*"), [".hidden", "a", "a*b", "b"]);
        assert_eq!(paths(&tree, "[ab]/*/io"), ["a/1/io", "b/1/io", "b/2/io"]);
        assert_eq!(paths(&tree, "a/*"), ["a/1", "a/x"]);
        assert_eq!(paths(&tree, "a/1/*"), ["a/1/dead", "a/1/io"]);
        assert_eq!(paths(&tree, "a\\*b/?/io"), ["a*b/1/io"]);
        assert_eq!(paths(&tree, "*/1//dead"), ["a/1/dead"]);
        assert_eq!(paths(&tree, "a/1/io"), ["a/1/io"]);
        assert_eq!(paths(&tree, "a/../b/*/io"), ["b/1/io", "b/2/io"]);
        assert_eq!(paths(&tree, "a/1/io/*"), [""; 0]);
        assert_eq!(paths(&tree, "missing/*"), [""; 0]);
        assert_eq!(paths(&tree, "missing"), [""; 0]);
    }

    #[test]
    fn zalua_45_a_bad_pattern_is_an_error_wherever_it_is() {
        for pattern in ["/nowhere/[", "[/x", "/nowhere/*/[]", "a\\"] {
            assert_eq!(
                glob(pattern.as_bytes()),
                Err(GlobError::BadPattern),
                "{pattern}"
            );
        }
        let long = vec![b'*'; PATTERN_MAX + 1];
        assert_eq!(glob(&long), Err(GlobError::BadPattern));
        assert_eq!(glob(b""), Ok(Vec::new()));
    }

    #[test]
    fn relative_paths_stay_relative() {
        let found = glob(b"./Cargo.tom[l]").unwrap();
        assert_eq!(found, [b"Cargo.toml".to_vec()]);
        assert_eq!(glob(b"Cargo.toml").unwrap(), [b"Cargo.toml".to_vec()]);
    }
}
