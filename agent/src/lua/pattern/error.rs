//! What can go wrong with a pattern, and how much work one may do.

use super::{PATTERN_MAX, RESULT_MAX, SUBJECT_MAX};

/// Why a pattern gave no answer. The texts are LuaJIT's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A `%` with nothing after it.
    #[error("malformed pattern (ends with '%')")]
    EndsWithPercent,
    /// A set without its end.
    #[error("malformed pattern (missing ']')")]
    MissingBracket,
    /// `%f` without a set.
    #[error("missing '[' after '%f' in pattern")]
    FrontierWithoutSet,
    /// `%b` without its two characters.
    #[error("unbalanced pattern")]
    Unbalanced,
    /// A `)` without a `(`.
    #[error("invalid pattern capture")]
    InvalidCapture,
    /// A reference to a capture that is not there or still open.
    #[error("invalid capture index")]
    InvalidIndex,
    /// A `(` without a `)`.
    #[error("unfinished capture")]
    Unfinished,
    /// More captures than [`super::CAPTURES_MAX`].
    #[error("too many captures")]
    TooManyCaptures,
    /// Too many nested attempts, or the budget is used up.
    #[error("pattern too complex")]
    TooComplex,
    /// The pattern is longer than [`PATTERN_MAX`].
    #[error("pattern too long (at most {PATTERN_MAX} bytes)")]
    PatternTooLong,
    /// The subject is longer than [`SUBJECT_MAX`].
    #[error("string too long for a pattern (at most {SUBJECT_MAX} bytes)")]
    SubjectTooLong,
    /// The result of a replacement is longer than [`RESULT_MAX`].
    #[error("resulting string too large (at most {RESULT_MAX} bytes)")]
    ResultTooLong,
}

/// How many steps are left. A step is one attempt to match an item of a pattern, or one byte that
/// is looked at in a repetition. Bytes that cannot start a match and bytes that are compared with a
/// capture count less, since they cost less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget(u64);

impl Budget {
    /// Steps for one call of a pattern function: nearly twice the longest subject, and at most
    /// half a second where it was measured (15 ns per step for the worst pattern found).
    pub const DEFAULT: u64 = 30_000_000;

    /// A budget of so many steps.
    pub fn new(steps: u64) -> Self {
        Self(steps)
    }

    /// The steps that are left.
    pub fn left(&self) -> u64 {
        self.0
    }

    /// Takes steps.
    ///
    /// # Errors
    /// When there are fewer left; then none are left.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), PatternError> {
        let left = self.0.checked_sub(steps as u64);
        self.0 = left.unwrap_or(0);
        left.map(|_| ()).ok_or(PatternError::TooComplex)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}
