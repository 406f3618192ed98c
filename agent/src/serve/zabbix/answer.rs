//! What the door asks of whoever knows the values.

use std::borrow::Cow;

use super::item_key::ItemKey;

/// Why an item has no value. The text goes to the Zabbix server as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSupported(pub Cow<'static, str>);

impl NotSupported {
    /// What Zabbix says of a key that nobody knows.
    pub const UNKNOWN_KEY: Self = Self(Cow::Borrowed("Unsupported item key."));

    /// A reason that is known at compile time.
    pub const fn because(reason: &'static str) -> Self {
        Self(Cow::Borrowed(reason))
    }
}

/// What an attempt to answer at once may come to instead of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no value, and why.
    NotSupported(NotSupported),
    /// The value has to be fetched in a way that may block: ask [`Answer::answer_slowly`].
    Slow,
}

impl From<NotSupported> for Refusal {
    fn from(reason: NotSupported) -> Self {
        Self::NotSupported(reason)
    }
}

/// Answers item keys.
pub trait Answer: Send + Sync {
    /// Appends the value of `key` to `out`, which is empty, or says why there is none.
    ///
    /// Runs on the door's only thread: it must not block, sleep or do I/O.
    fn answer(&self, key: &ItemKey<'_>, out: &mut String) -> Result<(), Refusal>;

    /// The same for keys that [`Self::answer`] called slow; runs on a worker and may block.
    fn answer_slowly(&self, key: &ItemKey<'_>, out: &mut String) -> Result<(), NotSupported> {
        let _ = (key, out);
        Err(NotSupported::UNKNOWN_KEY)
    }

    /// Answers a text that is not an item key by Zabbix's grammar, such as the name of a series with
    /// a space in it. Same rules as [`Self::answer`]. Returns whether there was a value.
    fn answer_verbatim(&self, text: &str, out: &mut String) -> bool {
        let _ = (text, out);
        false
    }
}
