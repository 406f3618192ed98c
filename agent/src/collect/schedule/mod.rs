//! The schedule: when each collector and probe runs, on one thread of its own.
//!
//! [`Schedule`] owns the collectors and runs those that are due, on ticks that all collectors of one
//! interval share. [`Schedule::start`] moves it to a thread named `collect`; [`Running`] stops it,
//! gives it a new [`Timetable`] and shows its heartbeat. A round that is late is skipped and
//! counted, never run twice; a collector that panics is switched off and shown as failed, and the
//! others go on.

mod job;
mod rounds;
#[cfg(test)]
mod tests;
mod thread;
mod timetable;

pub use rounds::Schedule;
pub use thread::{Running, ScheduleError};
pub use timetable::Timetable;
