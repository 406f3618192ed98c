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
    /// Too many nested attempts, or the steps are used up.
    #[error("pattern too complex")]
    TooComplex,
    /// The caller said that it is over, see [`Budget::until`].
    #[error("the turn is over")]
    Over,
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
pub struct Budget<'a> {
    left: u64,
    /// With how many left the caller is asked next.
    asks_at: u64,
    is_over: Option<&'a dyn Fn() -> bool>,
}

impl Budget<'static> {
    /// Steps for one call of a pattern function: nearly twice the longest subject, and at most
    /// half a second where it was measured (15 ns per step for the worst pattern found).
    pub const DEFAULT: u64 = 30_000_000;

    /// A budget of so many steps.
    pub fn new(steps: u64) -> Self {
        Self {
            left: steps,
            asks_at: 0,
            is_over: None,
        }
    }
}

impl<'a> Budget<'a> {
    /// After how many steps the caller is asked: a millisecond or so.
    const ASKS_EVERY: u64 = 50_000;

    /// The default budget, which ends also when `is_over` says so; it is asked now and then.
    pub fn until(is_over: &'a dyn Fn() -> bool) -> Self {
        Self {
            left: Budget::DEFAULT,
            asks_at: Budget::DEFAULT - Self::ASKS_EVERY,
            is_over: Some(is_over),
        }
    }

    /// The steps that are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes steps.
    ///
    /// # Errors
    /// When there are fewer left, or it is over; then none are left.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), PatternError> {
        let left = self.left.checked_sub(steps as u64);
        self.left = left.unwrap_or(0);
        if self.left < self.asks_at {
            self.asks_at = self.left.saturating_sub(Self::ASKS_EVERY);
            if self.is_over.is_some_and(|is_over| is_over()) {
                self.left = 0;
                return Err(PatternError::Over);
            }
        }
        left.map(|_| ()).ok_or(PatternError::TooComplex)
    }
}

impl std::fmt::Debug for Budget<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Budget")
            .field("left", &self.left)
            .finish()
    }
}

impl Default for Budget<'static> {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}
