//! Go's `time.Parse`: times written like a reference time, `Mon Jan 2 15:04:05 MST 2006`.
//!
//! As Go 1.9 reads them, with the day of the year (`002`, `__2`) of later versions. What a layout
//! does not have is the start of year 0 in UTC. A zone written as a name other than `UTC` is taken
//! as UTC: Go does so for names that the host's own zone does not have, and the agent does not look
//! at the host's zone.

mod chunk;
mod date;
mod field;
mod parse;

pub use parse::{ParseError, TEXT_MAX, Timestamp, parse};

#[cfg(test)]
mod tests;
