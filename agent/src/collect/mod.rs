//! Collectors: each reads one subject of the kernel's files and adds samples to a batch.
//!
//! A collector is a file or folder of its own plus one line in [`registry`]. It reads through
//! [`Root`], so that recorded trees serve as tests, and never fails as a whole because one file or
//! line is missing: it notes the loss in its [`Round`] and goes on.

pub mod disk;
pub mod filesystem;
mod mountinfo;
pub mod network;
pub mod own;
pub mod process;
pub mod registry;
pub mod root;
pub mod round;
pub mod sockets;

pub use root::{ReadError, Root};
pub use round::{Collector, Round};
