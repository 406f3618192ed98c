//! Sets of bytes: what one place in a pattern may be.

/// What a single item matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `.`
    Any,
    /// A plain character, or one after a `%`.
    Byte(u8),
    /// A letter after a `%`, or a set in brackets.
    Set(Set),
}

impl Class {
    /// Whether the byte belongs to it.
    pub(super) fn has(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Byte(wanted) => *wanted == byte,
            Self::Set(set) => set.has(byte),
        }
    }

    /// How many bytes at the start of `subject` belong to it.
    pub(super) fn run(&self, subject: &[u8]) -> usize {
        let end = match self {
            Self::Any => None,
            Self::Byte(wanted) => subject.iter().position(|byte| byte != wanted),
            Self::Set(set) => subject.iter().position(|byte| !set.has(*byte)),
        };
        end.unwrap_or(subject.len())
    }

    /// Where the first byte of `subject` is that belongs to it.
    pub(super) fn position(&self, subject: &[u8]) -> Option<usize> {
        match self {
            Self::Any => (!subject.is_empty()).then_some(0),
            Self::Byte(wanted) => memchr::memchr(*wanted, subject),
            Self::Set(set) => subject.iter().position(|byte| set.has(*byte)),
        }
    }

    /// What `%` and a character mean.
    pub(super) fn escaped(character: u8) -> Self {
        letter(character).map_or(Self::Byte(character), Self::Set)
    }
}

/// A set of bytes, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set([u128; 2]);

impl Set {
    pub(super) fn has(self, byte: u8) -> bool {
        let [low, high] = self.0;
        let half = if byte < 128 { low } else { high };
        half >> (byte & 127) & 1 == 1
    }

    pub(super) fn insert(&mut self, byte: u8) {
        let [low, high] = &mut self.0;
        let half = if byte < 128 { low } else { high };
        *half |= 1 << (byte & 127);
    }

    pub(super) fn insert_range(&mut self, first: u8, last: u8) {
        (first..=last).for_each(|byte| self.insert(byte));
    }

    /// Adds what `%` and a character mean.
    pub(super) fn insert_escaped(&mut self, character: u8) {
        match letter(character) {
            None => self.insert(character),
            Some(Self([more_low, more_high])) => {
                let [low, high] = &mut self.0;
                *low |= more_low;
                *high |= more_high;
            }
        }
    }

    pub(super) fn complement(&mut self) {
        self.0 = self.0.map(|half| !half);
    }

    /// The set of a class, by its small letter. No byte from 128 on is in one.
    const fn of(letter: u8) -> Self {
        let mut low = 0;
        let mut byte = 0_u8;
        while byte < 128 {
            let is_in = match letter {
                b'a' => byte.is_ascii_alphabetic(),
                b'c' => byte.is_ascii_control(),
                b'd' => byte.is_ascii_digit(),
                b'g' => byte.is_ascii_graphic(),
                b'l' => byte.is_ascii_lowercase(),
                b'p' => byte.is_ascii_punctuation(),
                // Rust's own class of white space leaves the vertical tab out.
                b's' => byte == b' ' || (b'\t' <= byte && byte <= b'\r'),
                b'u' => byte.is_ascii_uppercase(),
                b'w' => byte.is_ascii_alphanumeric(),
                b'x' => byte.is_ascii_hexdigit(),
                _ => byte == 0,
            };
            if is_in {
                low |= 1 << byte;
            }
            byte += 1;
        }
        Self([low, 0])
    }
}

/// The sets of the letters, worked out when this is compiled: most patterns are compiled anew each
/// time they are matched.
const LETTERS: [(u8, Set); 11] = [
    (b'a', Set::of(b'a')),
    (b'c', Set::of(b'c')),
    (b'd', Set::of(b'd')),
    (b'g', Set::of(b'g')),
    (b'l', Set::of(b'l')),
    (b'p', Set::of(b'p')),
    (b's', Set::of(b's')),
    (b'u', Set::of(b'u')),
    (b'w', Set::of(b'w')),
    (b'x', Set::of(b'x')),
    (b'z', Set::of(b'z')),
];

/// The set that a letter stands for after a `%`: the bytes of its class for a small letter, the
/// others for a capital. `%z` is the byte zero.
fn letter(character: u8) -> Option<Set> {
    let small = character.to_ascii_lowercase();
    let (_, set) = LETTERS.iter().find(|(letter, _)| *letter == small)?;
    let mut set = *set;
    if character.is_ascii_uppercase() {
        set.complement();
    }
    Some(set)
}
