//! A copy of the store for another process of this machine: the prompt works on one.

use super::codec::{BOOT_ID, Damage, Encoder, Head, decode};
use super::memory::{Cursor, Store, read, write};
use super::restore::Restore;

/// The largest copy that is made, in bytes: some 300,000 series.
pub const COPY_MAX: u64 = 64 * 1_048_576;

/// A copy never outlives the boot, so it need not say which one it is of.
const THIS_BOOT: [u8; BOOT_ID] = [0; BOOT_ID];

impl Store {
    /// Every valid value in the form of the snapshot; none when that is more than [`COPY_MAX`].
    pub fn copy(&self) -> Option<Vec<u8>> {
        let now = self.clock.now();
        let mut encoder = Encoder::new(&Head {
            boot: THIS_BOOT,
            at: now,
            wall: self.clock.wall(),
        });
        let mut whole = true;
        let mut bytes = Vec::new();
        let mut cursor = Cursor::default();
        while whole {
            let more = self.page(&mut cursor, "", now, |reading| {
                // What does not fit the form is left out of the snapshot too.
                let fits = encoder.len() < COPY_MAX;
                whole &= fits;
                if fits && !encoder.add(reading) {
                    tracing::debug!(series = reading.series.as_str(), "left out of a copy");
                }
            });
            bytes.extend_from_slice(encoder.piece());
            encoder.written();
            if !more {
                break;
            }
        }
        bytes.extend_from_slice(&encoder.end());
        whole.then_some(bytes)
    }

    /// Makes this store one with that of the copy; gives the number of series.
    ///
    /// # Errors
    /// When it is no whole copy; the store is as it was then.
    pub fn mirror(&self, copy: &[u8]) -> Result<u64, Damage> {
        // Looked at wholly before anything is thrown away.
        decode(copy, |_, _| {})?;
        self.clear();
        let mut restore = Restore::new(self, THIS_BOOT);
        decode(copy, |head, saved| restore.take(head, saved))?;
        Ok(restore.restored)
    }

    /// Takes everything out.
    fn clear(&self) {
        for shard in &self.inner.shards {
            let mut shard = write(shard);
            let names = read(&self.inner.names);
            let removed = shard.remove(
                |_| true,
                |series| self.hash(series),
                |entry| names.now().release(entry.source),
            );
            let series = &self.inner.series;
            series.fetch_sub(removed, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Batch, Clock, Unit};
    use crate::store::{Store, StoreLimits};

    #[test]
    fn a_mirror_shows_what_the_other_store_has_and_no_more() {
        let original = Store::new(Clock::System, StoreLimits::default());
        let mut batch = Batch::new();
        batch.gauge("a", &[("x", "1")], Unit::BYTES, 1.5);
        batch.text("b", &[], "words");
        original.put("test", &batch, None);
        let mirror = Store::new(Clock::System, StoreLimits::default());
        batch.clear();
        batch.gauge("old", &[], Unit::ONE, 1.0);
        mirror.put("test", &batch, None);
        let copy = original.copy().unwrap();
        assert!(mirror.mirror(copy.get(1..).unwrap()).is_err());
        assert!(mirror.get("old").is_some());
        assert_eq!(mirror.mirror(&copy), Ok(2));
        assert!(mirror.get("old").is_none());
        assert_eq!(mirror.get("a{x=\"1\"}").unwrap().unit, Unit::BYTES);
        assert_eq!(mirror.mirror(&copy), Ok(2), "once more");
        assert_eq!(mirror.status().series, 2);
    }
}
