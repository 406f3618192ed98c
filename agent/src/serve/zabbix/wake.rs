//! A way to wake the door's thread from another one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

/// An event counter of the kernel (eventfd(2)). Clones wake the same thread.
#[derive(Clone, Debug)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self(Arc::new(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?)))
    }

    /// Wakes the thread; a wake-up that is already on its way is enough.
    pub(super) fn wake(&self) {
        rustix::io::write(&self.0, &1_u64.to_ne_bytes()).unwrap_or_default();
    }

    /// Takes all wake-ups that have arrived.
    pub(super) fn clear(&self) {
        rustix::io::read(&self.0, &mut [0; 8]).unwrap_or_default();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
