//! Writes the form.

use std::collections::HashMap;

use super::form::{END, Head, MARK, SERIES, SOURCE, SOURCE_MAX, UNIT, VERSION};
use crate::model::{Kind, Unit, Value};
use crate::store::entry::ReadingRef;

/// Writes a snapshot piece by piece.
pub(in crate::store) struct Encoder {
    piece: Vec<u8>,
    checksum: crc32fast::Hasher,
    units: HashMap<&'static str, u16>,
    sources: HashMap<Box<str>, u16>,
    pub(in crate::store) series: u64,
    pub(in crate::store) bytes: u64,
}

impl Encoder {
    pub(in crate::store) fn new(head: &Head) -> Self {
        let mut piece = Vec::with_capacity(64 * 1024);
        piece.extend_from_slice(&MARK);
        piece.extend_from_slice(&VERSION.to_le_bytes());
        piece.extend_from_slice(&head.boot);
        piece.extend_from_slice(&head.at.0.to_le_bytes());
        piece.extend_from_slice(&head.wall.0.to_le_bytes());
        Self {
            piece,
            checksum: crc32fast::Hasher::new(),
            units: HashMap::new(),
            sources: HashMap::new(),
            series: 0,
            bytes: 0,
        }
    }

    /// How many bytes it is so far.
    pub(in crate::store) fn len(&self) -> u64 {
        self.bytes + self.piece.len() as u64
    }

    /// Adds a series; false when it has more than the form can hold, and is left out.
    pub(in crate::store) fn add(&mut self, reading: &ReadingRef<'_>) -> bool {
        let Some(unit) = self.unit(reading.unit) else {
            return false;
        };
        let Some(source) = self.source(reading.source) else {
            return false;
        };
        // Units and sources stay when the series is left out: the reader numbers them as well.
        let start = self.piece.len();
        let added = self.try_add(reading, unit, source).is_some();
        if added {
            self.series += 1;
        } else {
            self.piece.truncate(start);
        }
        added
    }

    fn try_add(&mut self, reading: &ReadingRef<'_>, unit: u16, source: u16) -> Option<()> {
        let series = reading.series.as_str();
        let length = u16::try_from(series.len()).ok()?;
        let piece = &mut self.piece;
        piece.push(SERIES);
        piece.extend_from_slice(&unit.to_le_bytes());
        piece.extend_from_slice(&source.to_le_bytes());
        piece.push(match reading.kind {
            Kind::Gauge => 0,
            Kind::Counter => 1,
            Kind::Histogram => 2,
            Kind::Text => 3,
        });
        piece.extend_from_slice(&length.to_le_bytes());
        piece.extend_from_slice(series.as_bytes());
        piece.extend_from_slice(&reading.at.0.to_le_bytes());
        piece.extend_from_slice(&reading.expires.0.to_le_bytes());
        match reading.value {
            Value::Float(number) => {
                piece.push(0);
                piece.extend_from_slice(&number.to_le_bytes());
            }
            Value::Unsigned(number) => {
                piece.push(1);
                piece.extend_from_slice(&number.to_le_bytes());
            }
            Value::Text(text) => {
                piece.push(2);
                piece.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
                piece.extend_from_slice(text.as_bytes());
            }
            Value::Histogram(histogram) => {
                piece.push(3);
                piece.extend_from_slice(&histogram.count.to_le_bytes());
                piece.extend_from_slice(&histogram.sum.to_le_bytes());
                let buckets = u16::try_from(histogram.buckets.len()).ok()?;
                piece.extend_from_slice(&buckets.to_le_bytes());
                for bucket in &histogram.buckets {
                    piece.extend_from_slice(&bucket.lower.to_le_bytes());
                    piece.extend_from_slice(&bucket.upper.to_le_bytes());
                    piece.extend_from_slice(&bucket.count.to_le_bytes());
                }
            }
        }
        let Some(rate) = reading.rate else {
            piece.push(0);
            return Some(());
        };
        let speed = rate.rate().per_second();
        piece.push(if speed.is_some() { 2 } else { 1 });
        piece.extend_from_slice(&rate.resets().to_le_bytes());
        if let Some(speed) = speed {
            piece.extend_from_slice(&speed.to_le_bytes());
        }
        Some(())
    }

    fn unit(&mut self, unit: Unit) -> Option<u16> {
        if let Some(number) = self.units.get(unit.as_str()) {
            return Some(*number);
        }
        let number = u16::try_from(self.units.len()).ok()?;
        let length = u8::try_from(unit.as_str().len()).ok()?;
        self.piece.push(UNIT);
        self.piece.push(length);
        self.piece.extend_from_slice(unit.as_str().as_bytes());
        self.units.insert(unit.as_str(), number);
        Some(number)
    }

    fn source(&mut self, source: &str) -> Option<u16> {
        let source = source
            .get(..source.floor_char_boundary(SOURCE_MAX))
            .unwrap_or(source);
        if let Some(number) = self.sources.get(source) {
            return Some(*number);
        }
        let number = u16::try_from(self.sources.len()).ok()?;
        let length = u16::try_from(source.len()).ok()?;
        self.piece.push(SOURCE);
        self.piece.extend_from_slice(&length.to_le_bytes());
        self.piece.extend_from_slice(source.as_bytes());
        self.sources.insert(source.into(), number);
        Some(number)
    }

    /// What was added since the last call, to be written.
    pub(in crate::store) fn piece(&mut self) -> &[u8] {
        &self.piece
    }

    /// Says that the piece is written.
    pub(in crate::store) fn written(&mut self) {
        self.checksum.update(&self.piece);
        self.bytes += self.piece.len() as u64;
        self.piece.clear();
    }

    /// The last piece, after all others are written.
    pub(in crate::store) fn end(mut self) -> Vec<u8> {
        self.piece.push(END);
        self.piece.extend_from_slice(&self.series.to_le_bytes());
        self.checksum.update(&self.piece);
        let checksum = self.checksum.finalize();
        self.piece.extend_from_slice(&checksum.to_le_bytes());
        self.piece
    }
}
