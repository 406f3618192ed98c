//! The nearest known word to a mistyped one.

/// The known word that is at most two slips (a third of the word's length) away, if there is one.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nothing on a command line that looks like one of ours is longer; the work is the product.
    if typed.len() > 32 {
        return None;
    }
    known
        .into_iter()
        .map(|word| (distance(typed, word), word))
        .filter(|(slips, word)| *slips <= 2.min(word.len().div_ceil(3)))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, word)| word)
}

/// How many letters must be put in, left out, exchanged or swapped with their neighbour.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=two.len()).collect();
    let mut previous = None;
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in two.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, column) + usize::from(letter != *other))
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            let neighbour = column.checked_sub(1).and_then(|index| two.get(index));
            if previous == Some(*other) && neighbour == Some(&letter) {
                best = best.min(at(&before_last, column.saturating_sub(1)) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (one, two, slips) in [
            ("", "", 0),
            ("stop", "stop", 0),
            ("stpo", "stop", 1),
            ("sttus", "status", 1),
            ("metric", "metrics", 1),
            ("", "get", 3),
        ] {
            assert_eq!(distance(one, two), slips, "{one} {two}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let verbs = ["get", "metrics", "status", "stop"];
        assert_eq!(nearest("stauts", verbs), Some("status"));
        assert_eq!(nearest("gte", verbs), Some("get"));
        assert_eq!(nearest("frobnicate", verbs), None);
        assert_eq!(nearest("x", verbs), None);
    }
}
