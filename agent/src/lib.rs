//! Moonward.
