//! What to say about a key that is not known: which one was meant, or where it belongs.

use super::document::short;
use super::parse::collector_index;
use super::schema::{COLLECTOR_KEYS, Key, PLUGIN_KEYS, SECTIONS, keys};
use super::types::CollectConfig;

/// The keys and tables that a table may have.
fn names(section: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = keys(section).iter().map(|key: &Key<_>| key.name).collect();
    if collector_index(section).is_some() {
        names.extend(COLLECTOR_KEYS.iter().map(|key| key.name));
    }
    if section.starts_with("plugin.") {
        names.extend(PLUGIN_KEYS.iter().map(|key| key.name));
    }
    match section {
        "" => names.extend(
            SECTIONS
                .iter()
                .map(|section| section.name)
                .filter(|name| !name.contains('.')),
        ),
        "collect" => names.extend(CollectConfig::NAMES),
        _ => {}
    }
    names
}

/// The message for a key that is not known, with the nearest that is.
pub(super) fn unknown(section: &str, name: &str) -> String {
    let names = names(section);
    let place = if section.is_empty() {
        "the file".to_owned()
    } else {
        format!("[{section}]")
    };
    let mut message = format!("unknown key {:?} in {place}", short(name));
    let nearest = names
        .iter()
        .map(|known| (distance(name, known), *known))
        .min();
    if let Some((distance, known)) = nearest
        && distance <= (known.len() / 3).max(1)
    {
        return format!("{message}; did you mean {known:?}?");
    }
    let elsewhere: Vec<String> = SECTIONS
        .iter()
        .filter(|other| other.keys.iter().any(|key| key.name == name))
        .map(|other| format!("[{}]", other.name))
        .collect();
    if !elsewhere.is_empty() {
        message += "; it belongs to ";
        message += &elsewhere.join(" or ");
    }
    message += "; known are ";
    message += &names.join(", ");
    message
}

/// How many characters must be put in, taken out, changed or swapped with their neighbour to make
/// one word of the other; case and `-` for `_` count nothing. Long words are not compared.
fn distance(one: &str, two: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.chars()
            .take(65)
            .map(|character| match character {
                '-' => '_',
                other => other.to_ascii_lowercase(),
            })
            .collect()
    };
    let (one, two) = (fold(one), fold(two));
    if one.len() > 64 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=two.len()).collect();
    for (row, here) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, there) in two.iter().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, column) + usize::from(here != there))
                .min(at(&last, column + 1) + 1)
                .min(at(&next, column) + 1);
            if row > 0
                && column > 0
                && one.get(row - 1) == Some(there)
                && two.get(column - 1) == Some(here)
            {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(usize::MAX)
}
