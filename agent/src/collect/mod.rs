//! Collectors: each reads one subject of the kernel's files and adds samples to a batch.
//!
//! A collector is a file or folder of its own plus one line in [`registry`]. It reads through
//! [`Root`], so that recorded trees serve as tests, and never fails as a whole because one file or
//! line is missing: it notes the loss in its [`Round`] and goes on.

pub mod cpu;
pub mod disk;
pub mod filesystem;
pub mod limits;
pub mod load;
pub mod memory;
mod mountinfo;
pub mod network;
pub mod numa;
mod number;
pub mod own;
pub mod pressure;
pub mod process;
pub mod registry;
pub mod root;
pub mod round;
pub mod schedule;
pub mod sockets;
pub mod temperature;
pub mod unit;
pub mod uptime;
pub mod users;
pub mod vmstat;

pub use root::{ReadError, Root};
pub use round::{Collector, Round};
pub use schedule::{Running, Schedule, ScheduleError, Timetable};
