//! What each native name means, for the HELP lines.
//!
//! The words are those of the collectors' own pages, in one sentence. Tests here and in
//! `agent/tests/prometheus.rs` hold the table together with the code: whoever adds a series that is
//! a number adds a line to `help.txt`.

use std::sync::OnceLock;

/// One line per name, sorted: `name: meaning`.
const TABLE: &str = include_str!("help.txt");

fn table() -> &'static [(&'static str, &'static str)] {
    static READ: OnceLock<Vec<(&'static str, &'static str)>> = OnceLock::new();
    READ.get_or_init(|| {
        let lines = TABLE.lines();
        lines.filter_map(|line| line.split_once(": ")).collect()
    })
}

/// What a native name (without tags) means.
pub fn native(name: &str) -> Option<&'static str> {
    let table = table();
    let at = table.binary_search_by_key(&name, |(known, _)| known).ok()?;
    table.get(at).map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_reads_well() {
        assert!(table().is_sorted_by(|(one, _), (other, _)| one < other));
        assert_eq!(table().len(), TABLE.lines().count());
        for (name, help) in table() {
            assert!(help.ends_with('.') && help.len() < 160, "{name}: {help}");
            assert!(
                help.starts_with(|first: char| first.is_uppercase()),
                "{name}"
            );
            assert_eq!(native(name), Some(*help));
        }
        assert_eq!(native("no.such.name"), None);
    }

    /// Every name of a number that the agent's code puts is in the table, and nothing else is.
    #[test]
    fn the_table_has_every_name_in_the_code() {
        let words = [
            "moonward.part.verdict",
            "system.md.member.state",
            "system.md.state",
            "system.md.sync.action",
            "systemd.system.state",
            "systemd.unit.state",
        ];
        let mut sources = Vec::new();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for room in [
            "app",
            "bus",
            "collect",
            "probe",
            "store",
            "serve/http",
            "telemetry",
        ] {
            read(&root.join(room), &mut sources);
        }
        let mut seen = std::collections::BTreeSet::new();
        for text in &sources {
            for word in text.split('"') {
                let first = word.split_once('.').map_or("", |(first, _)| first);
                let is_name = word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
                if is_name && ["moonward", "system", "systemd"].contains(&first) {
                    seen.insert(word);
                }
            }
        }
        let file = |name: &str| {
            [
                ".service", ".socket", ".toml", ".log", ".so", ".conf", ".slice", ".deb",
            ]
            .iter()
            .any(|end| name.ends_with(end))
        };
        seen.retain(|name| !words.contains(name) && !file(name) && !name.ends_with('.'));
        let known: std::collections::BTreeSet<&str> =
            table().iter().map(|(name, _)| *name).collect();
        let missing: Vec<_> = seen.difference(&known).collect();
        assert!(missing.is_empty(), "without a meaning: {missing:?}");
        let unused: Vec<_> = known.difference(&seen).collect();
        assert!(unused.is_empty(), "nobody puts {unused:?}");
    }

    fn read(directory: &std::path::Path, texts: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, texts);
            } else {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
}
