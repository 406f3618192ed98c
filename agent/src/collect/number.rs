//! Whole numbers out of small files and lines; what is no number is a loss, never a zero.

use std::io::ErrorKind;

use super::Round;

/// Reads the numbers of a file that holds nothing else, such as `/proc/sys/fs/file-nr`.
/// A file that cannot be read or a word that is no number is noted as a loss.
pub(super) fn read_row<const LENGTH: usize>(
    round: &mut Round<'_>,
    path: &str,
) -> Option<[u64; LENGTH]> {
    let text = round.read(path)?;
    row(round, path, &text)
}

/// The same for a file that a machine may well not have; only a file that is there and does not
/// read is a loss.
pub(super) fn read_optional_row<const LENGTH: usize>(
    round: &mut Round<'_>,
    path: &str,
) -> Option<[u64; LENGTH]> {
    match round.root.read(path) {
        Ok(text) => row(round, path, &text),
        Err(error) if error.source.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            round.lost_file(&error);
            None
        }
    }
}

fn row<const LENGTH: usize>(
    round: &mut Round<'_>,
    path: &str,
    text: &str,
) -> Option<[u64; LENGTH]> {
    let mut numbers = [0; LENGTH];
    let mut words = text.split_ascii_whitespace();
    for slot in &mut numbers {
        let word = words.next().unwrap_or_default();
        *slot = whole(round, path, word)?;
    }
    Some(numbers)
}

/// A whole number out of one word of `path`.
pub(super) fn whole(round: &mut Round<'_>, path: &str, word: &str) -> Option<u64> {
    if let Ok(number) = word.parse() {
        return Some(number);
    }
    round.lost(format!("{path}: {:?} is no whole number", shorten(word)));
    None
}

/// The number behind a prefix: `12` of `cpu12`, nothing of `cpufreq`.
pub(crate) fn numbered<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix)
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The start of a word or line, for a message.
pub(super) fn shorten(text: &str) -> &str {
    text.char_indices()
        .nth(60)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Moment};

    #[test]
    fn a_row_is_whole_or_a_loss() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(tree.path().join("good"), "1\t2 3\n").unwrap();
        std::fs::write(tree.path().join("short"), "1\n").unwrap();
        std::fs::write(tree.path().join("words"), "many\n").unwrap();
        let root = Root::recorded(tree.path());
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(1));
        assert_eq!(read_row(&mut round, "/good"), Some([1, 2]));
        assert_eq!(read_optional_row::<1>(&mut round, "/none"), None);
        assert_eq!(round.losses().0, 0);
        assert_eq!(read_row::<2>(&mut round, "/short"), None);
        assert_eq!(read_optional_row::<1>(&mut round, "/words"), None);
        assert_eq!((round.losses().0, round.absences()), (2, 0));
        assert_eq!(read_row::<1>(&mut round, "/none"), None);
        assert_eq!((round.losses().0, round.absences()), (3, 1));
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        assert_eq!(shorten("short"), "short");
        assert_eq!(shorten(&"é".repeat(100)), "é".repeat(60));
    }
}
