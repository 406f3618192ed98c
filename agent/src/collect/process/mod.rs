//! Processes as a whole: how many in which state, how many are made, what they read and write.
//!
//! Kernel files: `/proc/PID/stat`, `/proc/PID/io`, `/proc/stat`. [`collector`] has the series with
//! their units; [`io`] says why a sum over living processes keeps what the dead have read.

pub mod collector;
pub mod io;
mod sum;
mod walk;

pub use collector::Process;
pub(crate) use sum::sum;
