//! What the agent says about itself: the status of every part, events, log and self-metrics.

pub mod events;
pub mod journal;
pub mod log;
mod queue;
mod record;
pub mod status;

pub use status::{Part, PartStatus, Room, StatusBoard, Verdict};
