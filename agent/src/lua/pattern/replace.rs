//! Replacement of matches.

use super::matcher::Attempt;
use super::search::bounded;
use super::{Budget, Capture, Match, Pattern, PatternError, SUBJECT_MAX};

/// The longest result in bytes: it must fit into another call.
pub const RESULT_MAX: usize = SUBJECT_MAX;

impl Pattern {
    /// What `string.gsub` does: replaces up to `limit` matches (all when none is given) and gives
    /// the result and the number of replacements. `replace` writes what stands for a match to the
    /// end of the buffer; it must not change what is there.
    ///
    /// # Errors
    /// What `replace` raised, or as [`Pattern::find`], or when the result is longer than
    /// [`RESULT_MAX`].
    pub fn gsub<E: From<PatternError>>(
        &self,
        subject: &[u8],
        limit: Option<usize>,
        budget: &mut Budget<'_>,
        mut replace: impl FnMut(&Match, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(Vec<u8>, usize), E> {
        bounded(subject)?;
        let limit = limit.unwrap_or(usize::MAX);
        let mut result = Vec::with_capacity(subject.len());
        let mut attempt = Attempt::new(self, subject, budget);
        let (mut at, mut count) = (0, 0);
        while count < limit {
            let mut next = at;
            if let Some(found) = attempt.at(at)? {
                count += 1;
                replace(&found, &mut result)?;
                next = found.range().end;
            }
            if next == at {
                let Some(byte) = subject.get(at) else {
                    break;
                };
                result.push(*byte);
                next += 1;
            }
            if result.len() > RESULT_MAX {
                return Err(PatternError::ResultTooLong.into());
            }
            at = next;
            if self.anchored {
                break;
            }
        }
        result.extend_from_slice(subject.get(at..).unwrap_or_default());
        if result.len() > RESULT_MAX {
            return Err(PatternError::ResultTooLong.into());
        }
        Ok((result, count))
    }
}

/// Writes a replacement text for a match: `%0` is the whole match, `%1` to `%9` are captures, `%%`
/// is a percent sign. A `%` before anything else, or at the end, stays as it is: ZaLua's plugins
/// rely on it (`gsub(s, "-", "%S")`), while LuaJIT drops the sign and later Luas refuse it.
///
/// # Errors
/// When there is no such capture or it has no end, or the result is longer than [`RESULT_MAX`].
pub fn expand(
    replacement: &[u8],
    found: &Match,
    subject: &[u8],
    result: &mut Vec<u8>,
) -> Result<(), PatternError> {
    let mut rest = replacement;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (before, after) = rest.split_at_checked(at).unwrap_or_default();
        append(result, before)?;
        rest = match after {
            [_, b'%', rest @ ..] => {
                append(result, b"%")?;
                rest
            }
            [_, digit @ b'0'..=b'9', rest @ ..] => {
                let capture = match usize::from(*digit - b'0').checked_sub(1) {
                    None => Capture::Text(found.range()),
                    Some(index) => found.capture(index)?,
                };
                match capture {
                    Capture::Text(range) => {
                        append(result, subject.get(range).unwrap_or_default())?;
                    }
                    // Lua counts from 1.
                    Capture::Position(at) => append(result, (at + 1).to_string().as_bytes())?,
                }
                rest
            }
            [percent, rest @ ..] => {
                append(result, &[*percent])?;
                rest
            }
            [] => after,
        };
    }
    append(result, rest)
}

fn append(result: &mut Vec<u8>, part: &[u8]) -> Result<(), PatternError> {
    if result.len() + part.len() > RESULT_MAX {
        return Err(PatternError::ResultTooLong);
    }
    result.extend_from_slice(part);
    Ok(())
}
