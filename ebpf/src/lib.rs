//! Records that the eBPF programs and the agent share, and the histogram they both use.
#![no_std]
