//! What can be wrong with BTF, and what a kernel may not have, in words for an administrator.

use thiserror::Error;

/// Why bytes are no BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BtfError {
    /// Shorter than a header, or a section lies outside of the bytes.
    #[error("the kernel's type information (BTF) ends early")]
    Short,
    /// Not BTF, or of a machine with the other byte order.
    #[error("the kernel's type information (BTF) starts with {0:#06x} instead of 0xeb9f")]
    Magic(u16),
    /// A format that this reader does not know.
    #[error("the kernel's type information (BTF) has version {0}; only 1 is known")]
    Version(u8),
    /// A kind of type that this reader does not know, so that what follows cannot be found.
    #[error("the kernel's type information (BTF) holds type {id} of unknown kind {kind}")]
    Kind {
        /// The number of the type.
        id: u32,
        /// The unknown kind.
        kind: u8,
    },
    /// Over [`SIZE_MAX`](super::btf::SIZE_MAX).
    #[error("the kernel's type information (BTF) is {0} bytes long, too long to be true")]
    Long(usize),
}

/// Why something was not found. The text is a reason for an administrator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Missing {
    /// No structure of that name.
    #[error("this kernel has no struct {0}")]
    Structure(String),
    /// No such member, at any depth of anonymous nesting.
    #[error("struct {structure} has no member {member} on this kernel")]
    Member {
        /// The structure.
        structure: String,
        /// The member, perhaps a path with dots.
        member: String,
    },
    /// A member has a width that the program cannot load.
    #[error(
        "struct {structure} has a member {member} of {found} bits on this kernel, not {wanted}"
    )]
    Width {
        /// The structure.
        structure: String,
        /// The member.
        member: String,
        /// Its width in bits.
        found: u32,
        /// The width that the program loads.
        wanted: u32,
    },
    /// No such tracepoint.
    #[error("this kernel has no tracepoint {0}")]
    Tracepoint(String),
    /// A tracepoint has other arguments than the program reads.
    #[error(
        "the tracepoint {tracepoint} has the arguments ({found}) on this kernel, not ({wanted})"
    )]
    Arguments {
        /// The tracepoint.
        tracepoint: String,
        /// What the kernel has.
        found: String,
        /// What the program reads.
        wanted: String,
    },
}
