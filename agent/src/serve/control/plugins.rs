//! The list of plugins: as a table for people, as lines for scripts, as JSON.

use super::status::{COLUMNS, line_of_json, paint, widths, write_row};
use crate::telemetry::status::{MEMORY_BYTES, RESTARTS};
use crate::telemetry::{PartStatus, Room};

const HEADINGS: [&str; COLUMNS] = [
    "PLUGIN", "VERDICT", "RUNS", "ERRORS", "LAST ms", "MEMORY", "RESTARTS", "REASON",
];

fn plugins(parts: &[PartStatus]) -> Vec<&PartStatus> {
    parts
        .iter()
        .filter(|part| part.room == Room::Plugin)
        .collect()
}

/// The plugins as a table, with the colours of a terminal if they are wanted; nothing when there
/// are none.
pub(super) fn table(parts: &[PartStatus], colour: bool) -> String {
    let plugins = plugins(parts);
    let mut text = String::with_capacity((plugins.len() + 1) * 96);
    if plugins.is_empty() {
        return text;
    }
    let rows: Vec<[String; COLUMNS]> = plugins.iter().map(|part| row(part)).collect();
    let widths = widths(&HEADINGS, &rows);
    let headings = HEADINGS.map(str::to_owned);
    write_row(&mut text, &headings, &widths, colour.then_some("1"));
    for (part, cells) in plugins.iter().zip(&rows) {
        write_row(&mut text, cells, &widths, paint(part).filter(|_| colour));
    }
    text
}

fn row(part: &PartStatus) -> [String; COLUMNS] {
    let detail = |name| part.details.get(name).copied();
    let none = || "-".to_owned();
    [
        words(&part.name),
        part.verdict.to_owned(),
        part.runs.to_string(),
        part.errors.to_string(),
        if part.runs == 0 {
            none()
        } else {
            format!("{:.2}", part.last_seconds * 1e3)
        },
        detail(MEMORY_BYTES).map_or_else(none, memory),
        detail(RESTARTS).map_or_else(none, |restarts| restarts.to_string()),
        reason(part.reason.as_deref().unwrap_or_default()),
    ]
}

/// The first line: script, line and what happened. What follows is Lua's way there, which JSON has.
fn reason(reason: &str) -> String {
    let mut lines = reason.trim().lines();
    let first = words(lines.next().unwrap_or_default());
    match lines.next() {
        Some(_) => first + " …",
        None => first,
    }
}

/// Bytes in the unit that leaves the fewest digits: `812 B`, `35.2 KiB`, `1.5 MiB`.
fn memory(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

/// A name or reason may quote anything; on a terminal and between tabs it must stay words.
fn words(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The plugins as lines `name`, verdict and reason with tabs between.
pub(super) fn lines(parts: &[PartStatus]) -> String {
    let mut text = String::new();
    for part in plugins(parts) {
        let reason = part.reason.as_deref().unwrap_or_default();
        text.extend([&words(&part.name), "\t", part.verdict, "\t", &words(reason)]);
        text.push('\n');
    }
    text
}

/// The plugins as a JSON array with a line feed.
pub(super) fn json(parts: &[PartStatus]) -> String {
    line_of_json(&plugins(parts))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::{StatusBoard, Verdict};

    fn parts() -> Vec<PartStatus> {
        let board = StatusBoard::new();
        board.part(Room::Collector, "cpu", Verdict::Active);
        let works = board.part(Room::Plugin, "cpu", Verdict::Active);
        works.ran(Duration::from_micros(1500), 40);
        works.detail(MEMORY_BYTES, 1_572_864);
        works.detail(RESTARTS, 0);
        let failed = "mail.lua:3: attempt to index a nil value\nstack traceback:\n\t[C]: ?";
        let failed = board.part(Room::Plugin, "mail", Verdict::Failed(failed.to_owned()));
        failed.erred(12);
        failed.detail(RESTARTS, 11);
        board.statuses()
    }

    #[test]
    fn the_table_is_aligned_and_shows_the_first_line_of_a_reason() {
        let table = table(&parts(), false);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "PLUGIN  VERDICT  RUNS  ERRORS  LAST ms   MEMORY  RESTARTS  REASON",
                "cpu     active      1       0     1.50  1.5 MiB         0",
                "mail    failed      0      12        -        -        11  \
                 mail.lua:3: attempt to index a nil value …",
            ]
        );
        assert!(super::table(&parts(), true).contains("\x1b[31mmail"));
        assert_eq!(super::table(&[], true), "");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(
            lines(&parts()),
            "cpu\tactive\t\nmail\tfailed\tmail.lua:3: attempt to index a nil value \
             stack traceback:  [C]: ?\n"
        );
    }

    #[test]
    fn json_has_everything_of_plugins_alone() {
        let json: serde_json::Value = serde_json::from_str(&json(&parts())).unwrap();
        assert_eq!(json.as_array().unwrap().len(), 2);
        assert_eq!(json[0]["details"][MEMORY_BYTES], 1_572_864);
        assert_eq!(json[1]["errors"], 12);
        assert!(json[1]["reason"].as_str().unwrap().ends_with("\n\t[C]: ?"));
        assert_eq!(super::json(&[]), "[]\n");
    }

    #[test]
    fn memory_has_few_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (36_045, "35.2 KiB"),
            (33_554_432, "32.0 MiB"),
            (1 << 40, "1024.0 GiB"),
        ] {
            assert_eq!(memory(bytes), text);
        }
    }
}
