//! `moonward doctor`: what this machine and these permissions allow, and what to do about the rest.
//!
//! [`kernel`], [`permissions`] and [`doors`] each look at their part; [`verb`] puts the findings
//! together. Looks only; changes nothing.

pub mod doors;
pub mod finding;
pub mod kernel;
pub mod permissions;
pub mod verb;

pub use verb::run;
