//! The status of the service as a table and as JSON.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::store::StoreStatus;
use crate::telemetry::PartStatus;

/// What `moonward status` shows.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The service's version.
    pub version: &'static str,
    /// The service's process.
    pub pid: u32,
    /// How long the service has run.
    pub uptime_seconds: f64,
    /// Every part of the service, by room and name.
    pub parts: Vec<PartStatus>,
    /// How full the store is.
    pub store: StoreStatus,
}

/// How many columns a table has.
pub(super) const COLUMNS: usize = 8;

const HEADINGS: [&str; COLUMNS] = [
    "PART", "VERDICT", "RUNS", "ERRORS", "SAMPLES", "LAST ms", "MEAN µs", "REASON",
];
/// The columns that hold numbers and stand to the right.
const NUMBERS: std::ops::Range<usize> = 2..7;

impl Status {
    /// The status as JSON with a line feed.
    pub fn json(&self) -> String {
        line_of_json(self)
    }

    /// The status as a table by room, with the colours of a terminal if they are wanted.
    pub fn table(&self, colour: bool) -> String {
        let mut text = String::with_capacity(256 + self.parts.len() * 96);
        let store = &self.store;
        // Writing to a string cannot fail.
        writeln!(
            text,
            "moonward {}  pid {}  up {}\nstore: {} of {} series, {} samples, {} refused, {} cut, {} expired",
            self.version,
            self.pid,
            uptime(Duration::try_from_secs_f64(self.uptime_seconds).unwrap_or_default()),
            store.series,
            store.series_max,
            store.samples,
            store.refused,
            store.cut,
            store.expired,
        ).ok();
        if let Some((source, refused)) = &store.worst_source {
            writeln!(text, "most refused: {source} with {refused}").ok();
        }
        let rows: Vec<[String; COLUMNS]> = self.parts.iter().map(row).collect();
        let mut widths = widths(&HEADINGS, &rows);
        if let Some(first) = widths.first_mut() {
            let rooms = self.parts.iter().map(|part| part.room.as_str().len());
            *first = (*first).max(rooms.max().unwrap_or(0));
        }
        let mut room = None;
        for (part, cells) in self.parts.iter().zip(&rows) {
            if room != Some(part.room) {
                room = Some(part.room);
                text.push('\n');
                let mut headings = HEADINGS.map(str::to_owned);
                if let Some(first) = headings.first_mut() {
                    *first = part.room.as_str().to_uppercase();
                }
                write_row(&mut text, &headings, &widths, colour.then_some("1"));
            }
            write_row(&mut text, cells, &widths, paint(part).filter(|_| colour));
        }
        text
    }
}

/// The colour of a part's line on a terminal: red, yellow, faint or none.
pub(super) fn paint(part: &PartStatus) -> Option<&'static str> {
    match part.verdict {
        "failed" => Some("31"),
        "degraded" => Some("33"),
        "off" | "unsupported" => Some("2"),
        _ => None,
    }
}

/// How wide each column is, in characters.
pub(super) fn widths(headings: &[&str; COLUMNS], rows: &[[String; COLUMNS]]) -> [usize; COLUMNS] {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn row(part: &PartStatus) -> [String; COLUMNS] {
    let mean = if part.runs == 0 {
        0.0
    } else {
        part.total_seconds * 1e6 / part.runs as f64
    };
    [
        part.name.clone(),
        part.verdict.to_owned(),
        part.runs.to_string(),
        part.errors.to_string(),
        part.samples.to_string(),
        format!("{:.2}", part.last_seconds * 1e3),
        format!("{mean:.0}"),
        // A reason may quote anything; on a terminal it must stay words.
        part.reason
            .as_deref()
            .unwrap_or_default()
            .replace(char::is_control, " "),
    ]
}

/// Appends one line of a table; numbers stand to the right. `paint` is the colour's code.
pub(super) fn write_row(
    text: &mut String,
    cells: &[String; COLUMNS],
    widths: &[usize; COLUMNS],
    paint: Option<&str>,
) {
    let mut line = String::with_capacity(96);
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padding = width.saturating_sub(cell.chars().count());
        let before = if NUMBERS.contains(&index) { padding } else { 0 };
        line.extend(std::iter::repeat_n(' ', before));
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', padding - before + 2));
    }
    let line = line.trim_end();
    match paint {
        Some(code) => text.extend(["\x1b[", code, "m", line, "\x1b[0m\n"]),
        None => text.extend([line, "\n"]),
    }
}

/// `3 d 04:05:06`, without the days while there are none.
fn uptime(up: Duration) -> String {
    let seconds = up.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 {
        clock
    } else {
        format!("{days} d {clock}")
    }
}

/// A value as JSON with a line feed.
pub(super) fn line_of_json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Room, StatusBoard, Verdict};

    fn status() -> Status {
        let board = StatusBoard::new();
        let cpu = board.part(Room::Collector, "cpu", Verdict::Active);
        cpu.ran(Duration::from_micros(1500), 40);
        cpu.ran(Duration::from_micros(500), 40);
        board.part(Room::Probe, "block", Verdict::Failed("no\nBTF".into()));
        board.part(Room::Plugin, "a.lua", Verdict::Degraded("slow".into()));
        Status {
            version: "1.2.3",
            pid: 7,
            uptime_seconds: 90_061.5,
            parts: board.statuses(),
            store: StoreStatus::default(),
        }
    }

    #[test]
    fn the_table_is_aligned_and_by_room() {
        let table = status().table(false);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "moonward 1.2.3  pid 7  up 1 d 01:01:01");
        assert_eq!(
            lines[3..8],
            [
                "PROBE      VERDICT   RUNS  ERRORS  SAMPLES  LAST ms  MEAN µs  REASON",
                "block      failed       0       0        0     0.00        0  no BTF",
                "",
                "COLLECTOR  VERDICT   RUNS  ERRORS  SAMPLES  LAST ms  MEAN µs  REASON",
                "cpu        active       2       0       80     0.50     1000",
            ]
        );
        assert!(!table.contains('\x1b'));
        assert!(status().table(true).contains("\x1b[31mblock"));
    }

    #[test]
    fn json_has_the_documented_shape() {
        let json: serde_json::Value = serde_json::from_str(&status().json()).unwrap();
        assert_eq!(json["pid"], 7);
        assert_eq!(json["uptime_seconds"], 90_061.5);
        assert_eq!(json["parts"][0]["room"], "probe");
        assert_eq!(json["parts"][0]["reason"], "no\nBTF");
        assert_eq!(json["parts"][1]["samples"], 80);
        assert_eq!(json["store"]["series"], 0);
    }
}
