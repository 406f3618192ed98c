//! The whole text: every series of the store that is a number, sorted by family.
//!
//! The store is gone through page by page, and each sample is written at once into a buffer that
//! is used again; then the lines are put in order. So no lock is held longer than for one page, and
//! a text that repeats itself allocates nothing.

use std::sync::Arc;

use super::accept::Format;
use super::family::{Families, Family, FamilyId, Shown};
use super::help;
use super::left_out::{LeftOut, Reason};
use super::name::brackets;
use super::{histogram, line};
use crate::model::{Glob, Kind, Unit, Value};
use crate::store::{ReadingRef, Store};

/// The longest text in bytes, headings apart: some half a million samples. What is beyond is
/// counted.
const TEXT_MAX: usize = 64 << 20;

/// How much memory is kept for the next text.
const KEPT_MAX: usize = 4 << 20;

/// Writes texts, one at a time.
#[derive(Debug)]
pub struct Exposition {
    families: Families,
    present: Vec<bool>,
    lines: Vec<u8>,
    records: Vec<Record>,
    scratch: Vec<u8>,
    left_out: Arc<LeftOut>,
    text_max: usize,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// How many lines with a value.
    pub samples: u64,
    /// How many families.
    pub families: u64,
}

/// The lines of one series, as places in the buffer.
#[derive(Clone, Copy, Debug)]
struct Record {
    family: FamilyId,
    start: u32,
    end: u32,
    labels_start: u32,
    labels_end: u32,
    lines: u32,
}

impl Record {
    fn labels<'a>(&self, lines: &'a [u8]) -> &'a [u8] {
        let range = self.labels_start as usize..self.labels_end as usize;
        lines.get(range).unwrap_or_default()
    }

    fn text<'a>(&self, lines: &'a [u8]) -> &'a [u8] {
        let range = self.start as usize..self.end as usize;
        lines.get(range).unwrap_or_default()
    }
}

impl Exposition {
    /// One that counts what it leaves out in `left_out`.
    pub fn new(left_out: Arc<LeftOut>) -> Self {
        Self {
            families: Families::default(),
            present: Vec::new(),
            lines: Vec::new(),
            records: Vec::new(),
            scratch: Vec::new(),
            left_out,
            text_max: TEXT_MAX,
        }
    }

    /// Puts the text of all series of `store` into `out`, in place of what is there.
    pub fn render(&mut self, store: &Store, format: Format, out: &mut Vec<u8>) -> Rendered {
        self.gather(store);
        self.sort();
        let rendered = self.write(store, format, out);
        if self.lines.capacity() > KEPT_MAX {
            self.lines = Vec::new();
            self.records = Vec::new();
        }
        rendered
    }

    /// Writes the lines of every series, in the order of the store.
    fn gather(&mut self, store: &Store) {
        self.families.tidy();
        self.lines.clear();
        self.records.clear();
        self.present.clear();
        self.present.resize(self.families.len(), false);
        store.visit(&Glob::new("*"), |reading| {
            if let Err(reason) = self.add(reading) {
                self.left_out.add(reason, 1);
            }
        });
    }

    fn add(&mut self, reading: &ReadingRef<'_>) -> Result<(), Reason> {
        let kind = match (reading.value, reading.kind) {
            (Value::Text(_), _) => return Ok(()),
            (Value::Histogram(_), _) => Kind::Histogram,
            (value, Kind::Counter) => {
                let sound = |number: f64| number.is_finite() && number >= 0.0;
                if !value.as_f64().is_some_and(sound) {
                    return Err(Reason::Value);
                }
                Kind::Counter
            }
            (_, Kind::Histogram) => return Err(Reason::Value),
            (_, Kind::Gauge | Kind::Text) => Kind::Gauge,
        };
        if self.lines.len() >= self.text_max {
            return Err(Reason::Size);
        }
        let (name, key) = brackets(reading.series.as_ref().parts().0);
        let id = self
            .families
            .find(name, kind, reading.unit, reading.source)
            .ok_or(Reason::Name)?;
        let family = self.families.get(id).ok_or(Reason::Name)?;
        let start = self.lines.len();
        let reserved = (kind == Kind::Histogram).then_some("le");
        let labels = line::labels(reading.series, key, reserved, &mut self.scratch);
        let (at, lines) = match reading.value {
            Value::Histogram(histogram) => histogram::lines(
                &mut self.lines,
                &family.name,
                labels,
                reading.unit == Unit::SECONDS,
                histogram,
            ),
            value => (
                line::sample(&mut self.lines, &family.name, labels, value),
                1,
            ),
        };
        if self.present.len() <= id as usize {
            self.present.resize(id as usize + 1, false);
        }
        if let Some(present) = self.present.get_mut(id as usize) {
            *present = true;
        }
        // Cannot be cut: the buffer is far shorter.
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.records.push(Record {
            family: id,
            start: place(start),
            end: place(self.lines.len()),
            labels_start: place(at.start),
            labels_end: place(at.end),
            lines,
        });
        Ok(())
    }

    /// Orders the series by family, then by labels.
    fn sort(&mut self) {
        self.present.resize(self.families.len(), false);
        self.families.plan(&self.present);
        let (families, lines) = (&self.families, &self.lines);
        self.records.sort_unstable_by(|one, other| {
            (families.rank(one.family).cmp(&families.rank(other.family)))
                .then_with(|| one.labels(lines).cmp(other.labels(lines)))
                // Of two equal samples the same one every time.
                .then(one.start.cmp(&other.start))
        });
    }

    fn write(&self, store: &Store, format: Format, out: &mut Vec<u8>) -> Rendered {
        let mut rendered = Rendered::default();
        out.clear();
        out.reserve(self.lines.len() + self.lines.len() / 8);
        let same_family = |one: &Record, other: &Record| one.family == other.family;
        for records in self.records.chunk_by(same_family) {
            let Some(first) = records.first() else {
                continue;
            };
            let Some(family) = self.families.get(first.family) else {
                continue;
            };
            let shown = self.families.shown(first.family);
            if shown == Shown::No {
                self.left_out.add(Reason::Conflict, records.len() as u64);
                continue;
            }
            head(store, format, family, shown, out);
            rendered.families += 1;
            let mut previous = None;
            for record in records {
                let labels = record.labels(&self.lines);
                if previous == Some(labels) {
                    self.left_out.add(Reason::Duplicate, 1);
                    continue;
                }
                previous = Some(labels);
                out.extend_from_slice(record.text(&self.lines));
                rendered.samples += u64::from(record.lines);
            }
        }
        if format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        rendered
    }
}

/// The lines before the samples of a family.
fn head(store: &Store, format: Format, family: &Family, shown: Shown, out: &mut Vec<u8>) {
    let (name, kind) = match (format, shown) {
        (Format::OpenMetrics, Shown::Unknown) => (&*family.name, "unknown"),
        (Format::OpenMetrics, _) if family.kind == Kind::Counter => (family.base(), "counter"),
        _ => (&*family.name, family.kind.as_str()),
    };
    let mut line = |keyword: &[u8], write: &dyn Fn(&mut Vec<u8>)| {
        out.extend_from_slice(keyword);
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        write(out);
        out.push(b'\n');
    };
    line(b"# HELP ", &|out| {
        // In OpenMetrics quotes are escaped as well.
        let quotes = format == Format::OpenMetrics;
        let described;
        let text = if let Some(text) = help::native(&family.raw) {
            text
        } else {
            described = store.description(&family.raw);
            described.as_deref().unwrap_or_default()
        };
        if text.is_empty() {
            line::escape(out, "Put without a description by ", quotes);
            line::escape(out, &family.source, quotes);
            out.push(b'.');
        } else {
            line::escape(out, text, quotes);
        }
    });
    line(b"# TYPE ", &|out| out.extend_from_slice(kind.as_bytes()));
    let ends_in_unit = || {
        name.strip_suffix(&*family.unit)
            .is_some_and(|rest| rest.ends_with('_'))
    };
    if format == Format::OpenMetrics && !family.unit.is_empty() && ends_in_unit() {
        line(b"# UNIT ", &|out| {
            out.extend_from_slice(family.unit.as_bytes());
        });
    }
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
