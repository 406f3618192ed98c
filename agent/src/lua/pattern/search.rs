//! Where in a subject a pattern matches.

use std::ops::Range;

use memchr::memmem;

use super::compile::{Item, Repeat};
use super::matcher::Attempt;
use super::{Budget, Match, Pattern, PatternError, is_plain};

/// The longest subject in bytes: more than any file that plugins read.
pub const SUBJECT_MAX: usize = 16 << 20;

/// The offset at which a search begins, from the argument `init` of Lua: from 1, or from the end
/// when it is negative. What lies before the start or after the end is moved there.
pub fn offset(init: i64, length: usize) -> usize {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let offset = if init < 0 {
        init.saturating_add(length)
    } else {
        init.saturating_sub(1)
    };
    usize::try_from(offset.clamp(0, length)).unwrap_or_default()
}

/// What `string.find` does: looks for a pattern, or for plain text when `plain` is set or the
/// pattern has no special character. `from` is an offset, see [`offset`].
///
/// # Errors
/// When the pattern has a mistake, something is too long, or the budget is used up.
pub fn find(
    subject: &[u8],
    pattern: &[u8],
    from: usize,
    plain: bool,
    budget: &mut Budget<'_>,
) -> Result<Option<Match>, PatternError> {
    if !plain && !is_plain(pattern) {
        return Pattern::compile(pattern)?.find(subject, from, budget);
    }
    let rest = bounded(subject)?.get(from..).unwrap_or_default();
    // Linear in both lengths: it cannot use up much.
    budget.spend(rest.len() / 16)?;
    let found = memmem::find(rest, pattern);
    Ok(found.map(|at| Match::plain(from + at..from + at + pattern.len())))
}

pub(super) fn bounded(subject: &[u8]) -> Result<&[u8], PatternError> {
    if subject.len() > SUBJECT_MAX {
        return Err(PatternError::SubjectTooLong);
    }
    Ok(subject)
}

impl Pattern {
    /// The first match at or after the offset `from`.
    ///
    /// # Errors
    /// When the pattern has a mistake, the subject is longer than [`SUBJECT_MAX`], or the budget
    /// is used up.
    pub fn find(
        &self,
        subject: &[u8],
        from: usize,
        budget: &mut Budget<'_>,
    ) -> Result<Option<Match>, PatternError> {
        let length = bounded(subject)?.len();
        let last = if self.anchored { from } else { length };
        self.first_in(subject, from..last.min(length) + 1, budget)
    }

    /// The first match that starts in a range of offsets.
    fn first_in(
        &self,
        subject: &[u8],
        starts: Range<usize>,
        budget: &mut Budget<'_>,
    ) -> Result<Option<Match>, PatternError> {
        let mut attempt = Attempt::new(self, subject, budget);
        let mut at = starts.start;
        while at < starts.end {
            if let Some(Item::Single(first, Repeat::Once | Repeat::Some)) = self.items.first() {
                // Nothing but a byte of this class can start a match.
                let ahead = subject.get(at..).unwrap_or_default();
                let skipped = first.position(ahead);
                attempt.spend(skipped.unwrap_or(ahead.len()) / 8)?;
                at += skipped.unwrap_or(ahead.len());
                if skipped.is_none() || at >= starts.end {
                    return Ok(None);
                }
            }
            if let Some(found) = attempt.at(at)? {
                return Ok(Some(found));
            }
            at += 1;
        }
        Ok(None)
    }
}

/// The state of `string.gmatch`: one match after the other.
#[derive(Clone, Debug)]
pub struct GlobalMatch {
    pattern: Pattern,
    /// Where the next search begins; after the end of the subject when all is over.
    from: usize,
}

impl GlobalMatch {
    /// Begins at the start of a subject.
    ///
    /// # Errors
    /// When the pattern is too long.
    pub fn new(pattern: &[u8]) -> Result<Self, PatternError> {
        let pattern = Pattern::compile_global(pattern)?;
        Ok(Self { pattern, from: 0 })
    }

    /// The next match in the subject, which must be the same one each time.
    ///
    /// # Errors
    /// As [`Pattern::find`].
    pub fn step(
        &mut self,
        subject: &[u8],
        budget: &mut Budget<'_>,
    ) -> Result<Option<Match>, PatternError> {
        let starts = self.from..bounded(subject)?.len() + 1;
        let found = self.pattern.first_in(subject, starts, budget)?;
        if let Some(found) = &found {
            let Range { start, end } = found.range();
            // An empty match moves on by a byte, or it would be found for ever.
            self.from = if end == start { end + 1 } else { end };
        }
        Ok(found)
    }
}
