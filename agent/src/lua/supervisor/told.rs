//! `zalua.error.count` and `zalua.error.last`: how often plugins failed, and how the last one did.

use std::time::Duration;

use crate::lua::ScriptError;
use crate::model::{Kind, Series, Unit, Value};
use crate::store::Store;

/// What both are put as, and how long they hold.
const SOURCE: &str = "plugins";
const TTL: Duration = Duration::from_mins(5);

/// How long one value of `zalua.error.last` can be, in bytes.
const TEXT_MAX: usize = 4096;

/// The failures since the start.
#[derive(Debug)]
pub(super) struct Told {
    store: Store,
    failures: u64,
}

impl Told {
    pub(super) fn new(store: Store) -> Self {
        Self { store, failures: 0 }
    }

    /// Counts a failure; `is_quiet` is true where ZaLua's first script puts both itself.
    pub(super) fn failed(&mut self, error: &ScriptError, is_quiet: bool) {
        self.failures += 1;
        self.count(is_quiet);
        if is_quiet {
            return;
        }
        let mut text = error.with_traceback();
        if text.len() > TEXT_MAX {
            let end = (0..=TEXT_MAX).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
        }
        self.put("zalua.error.last", Kind::Text, text.as_str().into());
    }

    /// Puts the number of failures.
    pub(super) fn count(&self, is_quiet: bool) {
        if !is_quiet {
            let count = Value::Float(self.failures as f64);
            self.put("zalua.error.count", Kind::Gauge, count);
        }
    }

    fn put(&self, name: &str, kind: Kind, value: Value) {
        if let Ok(series) = Series::new(name, &[]) {
            self.store
                .put_one(SOURCE, &series, kind, Unit::NONE, value, Some(TTL));
        }
    }
}
