//! From the text of a pattern to its items.

use super::PatternError;
use super::class::{Class, Set};

/// The longest pattern in bytes. What people write has a few dozen; the items of a pattern take up
/// to fifty times its length while it is matched.
pub const PATTERN_MAX: usize = 4096;

/// How often a single item may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Once,
    /// `?`
    Optional,
    /// `*`
    Many,
    /// `+`
    Some,
    /// `-`
    Few,
}

/// One item of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// `(`
    Open,
    /// `()`
    Position,
    /// `)`
    Close,
    /// `%0` to `%9`, as the index of the capture; `%0` has none.
    Back(Option<usize>),
    /// `%bxy`
    Balance(u8, u8),
    /// `%f[set]`
    Frontier(Set),
    /// `$` at the end.
    End,
    /// What matches a byte.
    Single(Class, Repeat),
    /// A mistake, told when matching comes here.
    Mistake(PatternError),
}

/// A pattern, ready to be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub(super) items: Vec<Item>,
    /// Whether it matches only where the search begins.
    pub(super) anchored: bool,
}

impl Pattern {
    /// A pattern for `find`, `match` and `gsub`, in which `^` at the start is an anchor.
    ///
    /// # Errors
    /// When it is longer than [`PATTERN_MAX`]; all other mistakes are told when matching comes to
    /// them.
    pub fn compile(pattern: &[u8]) -> Result<Self, PatternError> {
        match pattern.strip_prefix(b"^") {
            Some(rest) => Self::new(pattern.len(), rest, true),
            None => Self::new(pattern.len(), pattern, false),
        }
    }

    /// A pattern for `gmatch`, in which `^` at the start is a plain character.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn compile_global(pattern: &[u8]) -> Result<Self, PatternError> {
        Self::new(pattern.len(), pattern, false)
    }

    fn new(length: usize, pattern: &[u8], anchored: bool) -> Result<Self, PatternError> {
        if length > PATTERN_MAX {
            return Err(PatternError::PatternTooLong);
        }
        // The engine holds patterns as C strings.
        let pattern = pattern.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut items = Vec::with_capacity(pattern.len().min(16));
        let mut rest = pattern;
        while !rest.is_empty() {
            match next_item(&mut rest) {
                Ok(item) => items.push(item),
                Err(mistake) => {
                    items.push(Item::Mistake(mistake));
                    break;
                }
            }
        }
        Ok(Self { items, anchored })
    }
}

/// Whether `find` takes the pattern as plain text: it has none of the special characters.
pub fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte))
}

/// Takes the next item from the start of a pattern that is not empty.
fn next_item(rest: &mut &[u8]) -> Result<Item, PatternError> {
    let (item, after) = match *rest {
        [b'(', b')', after @ ..] => (Item::Position, after),
        [b'(', after @ ..] => (Item::Open, after),
        [b')', after @ ..] => (Item::Close, after),
        [b'$'] => (Item::End, &[][..]),
        [b'%', b'b', open, close, after @ ..] => (Item::Balance(*open, *close), after),
        [b'%', b'b', ..] => return Err(PatternError::Unbalanced),
        [b'%', b'f', after @ ..] => {
            if after.first() != Some(&b'[') {
                return Err(PatternError::FrontierWithoutSet);
            }
            let (set, after) = bracket(after)?;
            (Item::Frontier(set), after)
        }
        [b'%', digit @ b'0'..=b'9', after @ ..] => {
            let index = usize::from(*digit - b'0').checked_sub(1);
            (Item::Back(index), after)
        }
        _ => single(rest)?,
    };
    *rest = after;
    Ok(item)
}

fn single(rest: &[u8]) -> Result<(Item, &[u8]), PatternError> {
    let (class, after) = match rest {
        [b'%', escaped, after @ ..] => (Class::escaped(*escaped), after),
        [b'%'] => return Err(PatternError::EndsWithPercent),
        [b'[', ..] => {
            let (set, after) = bracket(rest)?;
            (Class::Set(set), after)
        }
        [b'.', after @ ..] => (Class::Any, after),
        [byte, after @ ..] => (Class::Byte(*byte), after),
        [] => (Class::Any, rest),
    };
    let repeat = match after.first() {
        Some(b'?') => Repeat::Optional,
        Some(b'*') => Repeat::Many,
        Some(b'+') => Repeat::Some,
        Some(b'-') => Repeat::Few,
        _ => return Ok((Item::Single(class, Repeat::Once), after)),
    };
    Ok((
        Item::Single(class, repeat),
        after.get(1..).unwrap_or_default(),
    ))
}

/// Reads a set from its `[`; gives it and what follows its `]`.
fn bracket(pattern: &[u8]) -> Result<(Set, &[u8]), PatternError> {
    let end = bracket_end(pattern)?;
    let byte = |at: usize| pattern.get(at).copied().unwrap_or_default();
    let mut set = Set::default();
    let negated = byte(1) == b'^';
    let mut at = if negated { 2 } else { 1 };
    // The engine looks for the end of a set and for its members in two ways that differ after a
    // range that ends in `%`: in `[+-%%]` the second `%` takes the `]` with it.
    while at < end {
        if byte(at) == b'%' {
            set.insert_escaped(byte(at + 1));
            at += 2;
        } else if byte(at + 1) == b'-' && at + 2 < end {
            set.insert_range(byte(at), byte(at + 2));
            at += 3;
        } else {
            set.insert(byte(at));
            at += 1;
        }
    }
    if negated {
        set.complement();
    }
    Ok((set, pattern.get(end + 1..).unwrap_or_default()))
}

/// Where the `]` of the set is that starts the pattern. A `]` that comes first is a member.
fn bracket_end(pattern: &[u8]) -> Result<usize, PatternError> {
    let mut at = if pattern.get(1) == Some(&b'^') { 2 } else { 1 };
    loop {
        match (pattern.get(at), pattern.get(at + 1)) {
            (None, _) => return Err(PatternError::MissingBracket),
            (Some(b'%'), Some(_)) => at += 2,
            _ => at += 1,
        }
        if pattern.get(at) == Some(&b']') {
            return Ok(at);
        }
    }
}
