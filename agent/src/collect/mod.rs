//! Collectors: each reads one subject of the kernel's files and adds samples to a batch.
//!
//! A collector is a file or folder of its own plus one line in [`registry`]. It reads through
//! [`Root`], so that recorded trees serve as tests, and never fails as a whole because one file or
//! line is missing: it notes the loss in its [`Round`] and goes on.
//!
//! # Names
//!
//! A metric that OpenTelemetry's semantic conventions for systems have bears their name; others
//! are named in the same style. A tag bears the last word of the convention's attribute, for people
//! type it into item keys: the name of the metric already says to what it belongs. Probes follow
//! the same table.
//!
//! | tag | attribute |
//! |---|---|
//! | `cpu`, `mode` | `cpu.logical_number`, `cpu.mode` |
//! | `device` | `system.device` |
//! | `direction` | `disk.io.direction`, `network.io.direction`, `system.paging.direction`; of disks also `discard`, `flush` and `other` |
//! | `family`, `transport`, `state` (network) | `network.type`, `network.transport`, `network.connection.state` |
//! | `interface` | `network.interface.name` |
//! | `mode`, `mountpoint`, `state`, `type` (file systems) | `system.filesystem.mode`, `.mountpoint`, `.state`, `.type` |
//! | `state` (memory, paging, processes) | `system.memory.state`, `system.paging.state`, `process.state` |
//! | `type` (faults) | `system.paging.fault.type` |
//! | `type` (errors) | `error.type` |

pub mod cpu;
pub mod disk;
pub mod filesystem;
pub mod limits;
pub mod load;
pub mod memory;
pub(crate) mod mountinfo;
pub mod network;
pub mod numa;
pub(crate) mod number;
pub mod own;
pub mod pressure;
pub mod process;
pub mod registry;
pub mod root;
pub mod round;
pub mod schedule;
pub mod sockets;
pub mod tcp_states;
pub mod temperature;
pub mod unit;
pub mod uptime;
pub mod users;
pub mod vmstat;

pub use root::{ReadError, Root};
pub use round::{Collector, Round};
pub use schedule::{Running, Schedule, ScheduleError, Timetable};
