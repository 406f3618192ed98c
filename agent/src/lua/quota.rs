//! What scripts may hold outside their memory: descriptors, memory of Rust's, other scripts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlua::Lua;

/// How much of something there is for those who share it.
#[derive(Debug)]
pub(crate) struct Quota {
    used: AtomicUsize,
    most: usize,
}

/// A part of a quota, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    quota: Arc<Quota>,
    amount: usize,
}

impl Quota {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            most,
        })
    }

    /// The whole of it.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Takes a part; none when not so much is left. What the script holds no longer is collected
    /// first, because the engine's collector does not know what an object costs.
    pub(crate) fn take(self: &Arc<Self>, lua: &Lua, amount: usize) -> mlua::Result<Option<Held>> {
        if let Some(held) = self.try_take(amount) {
            return Ok(Some(held));
        }
        lua.gc_collect()?;
        Ok(self.try_take(amount))
    }

    /// Takes a part; none when not so much is left.
    pub(super) fn try_take(self: &Arc<Self>, amount: usize) -> Option<Held> {
        let enough = |used: usize| used.checked_add(amount).filter(|sum| *sum <= self.most);
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough);
        taken.ok().map(|_| Held {
            quota: Arc::clone(self),
            amount,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.quota.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_given_back() {
        let lua = Lua::new();
        let quota = Quota::new(3);
        let held = quota.take(&lua, 2).unwrap().unwrap();
        assert!(quota.take(&lua, 2).unwrap().is_none());
        assert!(quota.take(&lua, usize::MAX).unwrap().is_none());
        drop(held);
        assert!(quota.take(&lua, 3).unwrap().is_some());
    }
}
