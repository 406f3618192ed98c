//! What a collector is called, and what is wrong with a name, in the words of Prometheus' client
//! for Go.

use std::fmt::Write;
use std::time::Duration;

use crate::lua::go::quote;

/// What a collector counts, and whether it has labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Gauge,
    GaugeLabels,
    Counter,
    CounterLabels,
}

impl Kind {
    /// Whether there is a series for each set of label values.
    pub(crate) fn has_labels(self) -> bool {
        matches!(self, Self::GaugeLabels | Self::CounterLabels)
    }

    /// Whether values only grow.
    pub(crate) fn is_counter(self) -> bool {
        matches!(self, Self::Counter | Self::CounterLabels)
    }
}

/// What a collector is made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) namespace: String,
    pub(crate) subsystem: String,
    pub(crate) name: String,
    pub(crate) help: String,
    /// Names of labels; sorted by [`Options::check`].
    pub(crate) labels: Vec<String>,
    /// How long a series holds after it was set; for as long as the script runs when there is none.
    pub(crate) ttl: Option<Duration>,
}

impl Options {
    /// The key of ZaLua's registry: always two underscores.
    pub(super) fn key(&self) -> String {
        format!("{}_{}_{}", self.namespace, self.subsystem, self.name)
    }

    /// The name as Prometheus has it: the parts that are there, joined.
    pub(super) fn full_name(&self) -> String {
        let parts = [&*self.namespace, &*self.subsystem, &*self.name];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("_")
    }

    /// Sorts the labels, and says what is wrong with the names.
    pub(super) fn check(&mut self) -> Result<(), String> {
        self.labels.sort_unstable();
        let name = self.full_name();
        let mistake = if !is_name(&name, true) {
            format!("{} is not a valid metric name", quote(name.as_bytes()))
        } else if let Some(label) = self.labels.iter().find(|label| !is_label(label)) {
            format!("{} is not a valid label name", quote(label.as_bytes()))
        } else if self
            .labels
            .windows(2)
            .any(|pair| pair.first() == pair.get(1))
        {
            "duplicate label names".to_owned()
        } else {
            return Ok(());
        };
        Err(format!(
            "descriptor {} is invalid: {mistake}",
            self.descriptor()
        ))
    }

    /// Prometheus' form of what a collector is.
    pub(super) fn descriptor(&self) -> String {
        let mut text = format!(
            "Desc{{fqName: {}, help: {}, constLabels: {{}}, variableLabels: [",
            quote(self.full_name().as_bytes()),
            quote(self.help.as_bytes())
        );
        // Writing to a string cannot fail.
        write!(text, "{}]}}", self.labels.join(" ")).ok();
        text
    }
}

fn is_name(name: &str, colons: bool) -> bool {
    let fits = |character: char| {
        character.is_ascii_alphanumeric() || character == '_' || (colons && character == ':')
    };
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(fits)
}

fn is_label(name: &str) -> bool {
    // What begins with two underscores is Prometheus' own.
    is_name(name, false) && !name.starts_with("__")
}
