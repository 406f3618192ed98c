//! Probes: the eBPF programs' user-space half.
//!
//! [`btf`] reads the kernel's types, [`offsets`] resolves what each program needs, [`load`] loads
//! and attaches each program alone, `block`, `tcp` and `process` turn maps into samples,
//! `fdstore` names the descriptors that the service manager keeps and takes them back, so that
//! counters and attachments outlive the agent. [`Probes`] is all of it for the rest of the house.
//!
//! The only `unsafe` code of the agent is in here: system calls on descriptors (`sys`, `map`), and taking
//! over descriptors that the service manager passed ([`inherited`]).
#![expect(
    unsafe_code,
    reason = "bpf(2) has no safe wrapper, and inherited descriptors are bare numbers"
)]

mod block;
pub mod btf;
mod btf_problem;
mod cost;
mod fdstore;
mod histogram;
mod inherit;
pub mod load;
mod map;
mod objects;
pub mod offsets;
mod probes;
mod process;
mod sys;
mod tcp;

pub use inherit::{close_in_children, inherited};
pub use load::ProgramVerdict;
pub use objects::Object;
pub use probes::{Config, Probes};
