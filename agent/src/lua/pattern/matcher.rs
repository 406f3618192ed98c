//! One attempt to match a pattern at one place.

use std::ops::Range;

use super::compile::{Item, Pattern, Repeat};
use super::{Budget, PatternError};

/// The most captures of a pattern, as in the engine (`LUA_MAXCAPTURES`).
pub const CAPTURES_MAX: usize = 32;

/// The most nested attempts, as in the engine (`LJ_MAX_XLEVEL`).
const DEPTH_MAX: usize = 200;

/// What a `(` caught so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Open(usize),
    Position(usize),
    Closed(usize, usize),
}

/// What a capture caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// A part of the subject, as a range of its bytes.
    Text(Range<usize>),
    /// A position capture: an offset in the subject, counted from 0 (Lua counts from 1).
    Position(usize),
}

/// A match of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    range: Range<usize>,
    slots: Vec<Slot>,
}

impl Match {
    /// A match without captures.
    pub(super) fn plain(range: Range<usize>) -> Self {
        let slots = Vec::new();
        Self { range, slots }
    }

    /// Where the match is: a range of the subject's bytes.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The number of captures in the pattern; 0 when it has none.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// The capture with an index from 0. A pattern without captures has the whole match as its
    /// first.
    ///
    /// # Errors
    /// When there is no such capture, or it has no end.
    pub fn capture(&self, index: usize) -> Result<Capture, PatternError> {
        match self.slots.get(index) {
            None if index == 0 => Ok(Capture::Text(self.range())),
            None => Err(PatternError::InvalidIndex),
            Some(Slot::Open(_)) => Err(PatternError::Unfinished),
            Some(Slot::Position(at)) => Ok(Capture::Position(*at)),
            Some(Slot::Closed(from, to)) => Ok(Capture::Text(*from..*to)),
        }
    }

    /// All captures; the whole match when the pattern has none: what `match` and `gmatch` return.
    /// `find` returns only the captures that are written in the pattern.
    ///
    /// # Errors
    /// When a capture has no end.
    pub fn captures(&self) -> Result<Vec<Capture>, PatternError> {
        let count = self.count().max(1);
        (0..count).map(|index| self.capture(index)).collect()
    }
}

/// Attempts to match one pattern at several places of one subject.
pub(super) struct Attempt<'a, 'b> {
    items: &'a [Item],
    subject: &'a [u8],
    /// Empty between two attempts; kept so that a search takes memory once.
    slots: Vec<Slot>,
    depth: usize,
    budget: &'a mut Budget<'b>,
}

/// Where the match ends; none when there is no match.
type End = Result<Option<usize>, PatternError>;

impl<'a, 'b> Attempt<'a, 'b> {
    pub(super) fn new(pattern: &'a Pattern, subject: &'a [u8], budget: &'a mut Budget<'b>) -> Self {
        Self {
            items: &pattern.items,
            subject,
            slots: Vec::new(),
            depth: 0,
            budget,
        }
    }

    /// Tries to match at one offset of the subject. After an error there are no more attempts.
    pub(super) fn at(&mut self, at: usize) -> Result<Option<Match>, PatternError> {
        let end = self.run(at, 0)?;
        Ok(end.map(|end| Match {
            range: at..end,
            slots: std::mem::take(&mut self.slots),
        }))
    }

    /// Takes steps for work outside of an attempt.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), PatternError> {
        self.budget.spend(steps)
    }

    /// Matches the items from `item` on, at `at`.
    fn run(&mut self, at: usize, item: usize) -> End {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(PatternError::TooComplex);
        }
        let end = self.items_from(at, item);
        self.depth -= 1;
        end
    }

    fn items_from(&mut self, mut at: usize, mut item: usize) -> End {
        let items = self.items;
        loop {
            self.budget.spend(1)?;
            let next = match items.get(item) {
                None => return Ok(Some(at)),
                Some(Item::Mistake(mistake)) => return Err(*mistake),
                Some(Item::Open) => return self.open(Slot::Open(at), at, item),
                Some(Item::Position) => return self.open(Slot::Position(at), at, item),
                Some(Item::Close) => return self.close(at, item),
                Some(Item::End) => return Ok((at == self.subject.len()).then_some(at)),
                Some(Item::Back(index)) => self.back(at, *index)?,
                Some(Item::Balance(open, close)) => self.balance(at, *open, *close)?,
                Some(Item::Frontier(set)) => {
                    let before = at.checked_sub(1).map_or(0, |before| self.byte(before));
                    (!set.has(before) && set.has(self.byte(at))).then_some(at)
                }
                Some(Item::Single(class, repeat)) => {
                    let here = self.subject.get(at);
                    let fits = here.is_some_and(|byte| class.has(*byte));
                    match repeat {
                        Repeat::Once => fits.then_some(at + 1),
                        Repeat::Optional => {
                            if fits && let Some(end) = self.run(at + 1, item + 1)? {
                                return Ok(Some(end));
                            }
                            Some(at)
                        }
                        Repeat::Many => return self.most(at, at, item),
                        Repeat::Some if fits => return self.most(at, at + 1, item),
                        Repeat::Some => None,
                        Repeat::Few => return self.least(at, item),
                    }
                }
            };
            let Some(next) = next else {
                return Ok(None);
            };
            at = next;
            item += 1;
        }
    }

    /// The byte at an offset; zero after the end, as in a C string.
    fn byte(&self, at: usize) -> u8 {
        self.subject.get(at).copied().unwrap_or_default()
    }

    /// As many repetitions as can be, then one less at a time, at least up to `least`.
    fn most(&mut self, at: usize, least: usize, item: usize) -> End {
        let items = self.items;
        let Some(Item::Single(class, _)) = items.get(item) else {
            return Ok(None);
        };
        let run = class.run(self.subject.get(at..).unwrap_or_default());
        self.budget.spend(run)?;
        for end in (least..=at + run).rev() {
            if let Some(end) = self.run(end, item + 1)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// As few repetitions as can be.
    fn least(&mut self, mut at: usize, item: usize) -> End {
        let items = self.items;
        let Some(Item::Single(class, _)) = items.get(item) else {
            return Ok(None);
        };
        loop {
            if let Some(end) = self.run(at, item + 1)? {
                return Ok(Some(end));
            }
            let here = self.subject.get(at);
            if !here.is_some_and(|byte| class.has(*byte)) {
                return Ok(None);
            }
            at += 1;
        }
    }

    fn open(&mut self, slot: Slot, at: usize, item: usize) -> End {
        if self.slots.len() >= CAPTURES_MAX {
            return Err(PatternError::TooManyCaptures);
        }
        self.slots.push(slot);
        let end = self.run(at, item + 1)?;
        if end.is_none() {
            self.slots.pop();
        }
        Ok(end)
    }

    fn close(&mut self, at: usize, item: usize) -> End {
        let is_open = |slot: &Slot| matches!(slot, Slot::Open(_));
        let index = self.slots.iter().rposition(is_open);
        let slot = index.and_then(|index| self.slots.get_mut(index));
        let (Some(slot), Some(index)) = (slot, index) else {
            return Err(PatternError::InvalidCapture);
        };
        let (Slot::Open(from) | Slot::Position(from) | Slot::Closed(from, _)) = *slot;
        *slot = Slot::Closed(from, at);
        let end = self.run(at, item + 1)?;
        if end.is_none()
            && let Some(slot) = self.slots.get_mut(index)
        {
            *slot = Slot::Open(from);
        }
        Ok(end)
    }

    /// What a capture caught, once more.
    fn back(&mut self, at: usize, index: Option<usize>) -> End {
        let (from, to) = match index.and_then(|index| self.slots.get(index)) {
            None | Some(Slot::Open(_)) => return Err(PatternError::InvalidIndex),
            // The engine takes a position capture for one of endless length.
            Some(Slot::Position(_)) => return Ok(None),
            Some(Slot::Closed(from, to)) => (*from, *to),
        };
        self.budget.spend((to - from) / 16)?;
        let caught = self.subject.get(from..to).unwrap_or_default();
        let rest = self.subject.get(at..).unwrap_or_default();
        Ok(rest.starts_with(caught).then_some(at + caught.len()))
    }

    /// From an opening character to the closing one that belongs to it.
    fn balance(&mut self, at: usize, open: u8, close: u8) -> End {
        let mut rest = self.subject.get(at..).unwrap_or_default().iter();
        if rest.next() != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for (offset, byte) in rest.enumerate() {
            if *byte == close {
                depth -= 1;
                if depth == 0 {
                    self.budget.spend(offset)?;
                    return Ok(Some(at + offset + 2));
                }
            } else if *byte == open {
                depth += 1;
            }
        }
        self.budget.spend(self.subject.len() - at)?;
        Ok(None)
    }
}
