//! Records that the eBPF programs and the agent share, and the histogram they both use.
//!
//! Everything here is plain data with a fixed layout: the programs write it into maps, the agent
//! reads it back byte for byte. Only fixed-width integers, no padding that the compiler chooses.
//! The `kernel` module exists for the programs alone.
#![no_std]
#![warn(missing_docs)]

pub mod block;
pub mod histogram;
pub mod process;
pub mod tcp;

#[cfg(target_arch = "bpf")]
pub mod kernel;

pub use histogram::Histogram;
