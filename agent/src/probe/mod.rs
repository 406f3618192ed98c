//! Probes: the eBPF programs' user-space half.
//!
//! [`btf`] reads the kernel's types, [`offsets`] resolves what each program needs, [`load`] loads
//! and attaches each program alone, [`block`], [`tcp`] and [`process`] turn maps into samples,
//! [`fdstore`] hands descriptors to the service manager and takes them back, so that counters and
//! attachments outlive the agent.
//!
//! The only `unsafe` code of the agent is in here: system calls on descriptors ([`sys`]), and
//! taking over descriptors that the service manager passed ([`inherit`]).
#![expect(
    unsafe_code,
    reason = "bpf(2) has no safe wrapper, and inherited descriptors are bare numbers"
)]

pub mod btf;
pub mod offsets;
mod sys;
