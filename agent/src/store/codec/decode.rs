//! Reads the form, and believes nothing.

use super::form::{Damage, END, Head, MARK, SERIES, SOURCE, Saved, UNIT, VERSION};
use crate::model::histogram::Bucket;
use crate::model::{Histogram, Kind, Moment, Rate, RateState, Unit, Value, Wall};
use crate::store::put::BUCKETS_MAX;
use crate::store::shard::counted;

/// Reads a whole snapshot and shows each series. Nothing is shown before all of it was found
/// sound.
pub(in crate::store) fn decode<'b>(
    bytes: &'b [u8],
    mut each: impl FnMut(&Head, Saved<'b>),
) -> Result<Head, Damage> {
    if bytes.is_empty() {
        return Err(Damage::Empty);
    }
    let mark = bytes.get(..MARK.len()).ok_or(Damage::Mark)?;
    if mark != MARK {
        return Err(Damage::Mark);
    }
    let Some((content, checksum)) = bytes.split_last_chunk::<4>() else {
        return Err(Damage::Checksum);
    };
    let mut reader = Reader {
        bytes: content,
        at: MARK.len(),
    };
    let version = reader.u32().ok_or(Damage::Checksum)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return Err(Damage::Checksum);
    }
    let head = reader.head().ok_or(Damage::Content(reader.at))?;
    let records = reader.at;
    reader.records(|_| {}).ok_or(Damage::Content(reader.at))?;
    let mut reader = Reader {
        bytes: content,
        at: records,
    };
    reader
        .records(|saved| each(&head, saved))
        .ok_or(Damage::Content(reader.at))?;
    Ok(head)
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn f64(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    fn text(&mut self, length: usize) -> Option<&'b str> {
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn head(&mut self) -> Option<Head> {
        Some(Head {
            boot: self.array()?,
            at: Moment(self.u64()?),
            wall: Wall(self.u64()?),
        })
    }

    /// All records to the end; `None` when one does not read, or the end is not the end.
    fn records(&mut self, mut each: impl FnMut(Saved<'b>)) -> Option<()> {
        let mut units: Vec<Unit> = Vec::new();
        let mut sources: Vec<&'b str> = Vec::new();
        let mut series = 0_u64;
        loop {
            match self.u8()? {
                UNIT => {
                    let length = usize::from(self.u8()?);
                    units.push(Unit::intern(self.text(length)?));
                }
                SOURCE => {
                    let length = usize::from(self.u16()?);
                    sources.push(self.text(length)?);
                }
                SERIES => {
                    each(self.series(&units, &sources)?);
                    series += 1;
                }
                END => {
                    let complete = self.u64()? == series && self.at == self.bytes.len();
                    return complete.then_some(());
                }
                _ => return None,
            }
        }
    }

    fn series(&mut self, units: &[Unit], sources: &[&'b str]) -> Option<Saved<'b>> {
        let unit = *units.get(usize::from(self.u16()?))?;
        let source = *sources.get(usize::from(self.u16()?))?;
        let kind = match self.u8()? {
            0 => Kind::Gauge,
            1 => Kind::Counter,
            2 => Kind::Histogram,
            3 => Kind::Text,
            _ => return None,
        };
        let length = usize::from(self.u16()?);
        let series = self.text(length)?;
        let at = Moment(self.u64()?);
        let expires = Moment(self.u64()?);
        let value = match self.u8()? {
            0 => Value::Float(self.f64()?),
            1 => Value::Unsigned(self.u64()?),
            2 => {
                let length = usize::try_from(self.u32()?).ok()?;
                Value::Text(self.text(length)?.into())
            }
            3 => Value::from(self.histogram()?),
            _ => return None,
        };
        let rate = match self.u8()? {
            0 => None,
            what @ 1..=2 => {
                let resets = self.u32()?;
                let speed = match what {
                    2 => Rate::PerSecond(self.f64()?),
                    _ => Rate::Unknown,
                };
                // Its last value and moment are those of the series.
                counted(kind, &value).map(|number| RateState::restored(number, at, speed, resets))
            }
            _ => return None,
        };
        Some(Saved {
            series,
            source,
            kind,
            unit,
            value,
            at,
            expires,
            rate,
        })
    }

    fn histogram(&mut self) -> Option<Histogram> {
        let (count, sum) = (self.u64()?, self.f64()?);
        let length = usize::from(self.u16()?);
        if length > BUCKETS_MAX {
            return None;
        }
        let mut buckets = Vec::with_capacity(length);
        for _ in 0..length {
            buckets.push(Bucket {
                lower: self.f64()?,
                upper: self.f64()?,
                count: self.u64()?,
            });
        }
        Some(Histogram {
            count,
            sum,
            buckets,
        })
    }
}
