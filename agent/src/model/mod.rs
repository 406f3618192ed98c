//! What a measurement is: series, sample, value, histogram, rate and clock.
//!
//! Nothing in here does I/O (the clock reads the kernel's time and nothing else), and nothing
//! in here knows any other room.

pub mod batch;
pub mod clock;
pub mod glob;
pub mod histogram;
pub mod rate;
pub mod series;
pub mod value;

pub use batch::{Batch, SampleRef};
pub use clock::{Clock, Moment, Wall};
pub use glob::Glob;
pub use histogram::Histogram;
pub use rate::{Rate, RateState};
pub use series::{Series, SeriesError, SeriesRef};
pub use value::{Kind, Unit, Value};
