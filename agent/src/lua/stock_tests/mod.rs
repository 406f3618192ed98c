//! The stock plugins in the real host, on recorded machines.
//!
//! Each runs twice, with changed files and a clock that was moved in between, and every series that
//! it put is compared: name, kind, unit and value.

mod checks;
mod disk;
mod machine;
mod memory;
mod network;
mod prometheus;
mod replacing;

use machine::Machine;
