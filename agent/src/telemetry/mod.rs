//! What the agent says about itself: the status of every part, events, log and self-metrics.

pub mod events;
pub mod heartbeat;
pub mod journal;
pub mod log;
mod queue;
mod record;
pub mod status;

pub use heartbeat::{Heartbeat, Work};
pub use status::{Part, PartStatus, Room, StatusBoard, Sums, Verdict};
