//! The snapshot as bytes: pure, and every length checked before anything is made of it.
//!
//! All numbers are little-endian. A head (mark, version, boot id, the two clocks), then records,
//! each after one byte that says what it is:
//!
//! - unit: length (1 byte), text; source: length (2), text. They are numbered as they come.
//! - series: unit (2), source (2), kind (1), length (2), text, put at (8), expires (8), the value
//!   (1 byte for its type; 8 bytes, or length (4) and text, or count, sum, number of buckets (2)
//!   and the buckets), the state of a rate (1 byte: none, unknown, known; resets (4), speed (8)).
//! - end: number of series (8), and the CRC-32 (4) of everything before it.

mod decode;
mod encode;
mod form;

pub(super) use decode::decode;
pub(super) use encode::Encoder;
pub use form::Damage;
pub(super) use form::{BOOT_ID, Head, Saved};
