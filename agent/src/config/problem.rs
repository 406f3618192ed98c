//! What is wrong with the configuration, in a form that an administrator can act on.

use std::fmt;
use std::path::PathBuf;

/// One mistake in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or directory.
    pub file: PathBuf,
    /// Line and column, both from 1, the column in characters; `None` when the whole file is
    /// concerned.
    pub position: Option<(usize, usize)>,
    /// What was found and what was expected, in one line.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(formatter, "{line}:{column}:")?;
        }
        write!(formatter, " {}", self.message)
    }
}

/// Every mistake in all files, by file and position. Prints one line per mistake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    left_out: usize,
}

impl Problems {
    /// How many mistakes are listed; a megabyte of nonsense must not become hundreds of megabytes
    /// of messages.
    pub const LISTED_MAX: usize = 1000;

    /// Adds a mistake.
    pub(super) fn push(&mut self, problem: Problem) {
        if self.list.len() < Self::LISTED_MAX {
            self.list.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// The mistakes, at most [`Problems::LISTED_MAX`].
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, listed or not.
    pub fn count(&self) -> usize {
        self.list.len() + self.left_out
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for problem in &self.list {
            write!(formatter, "{separator}{problem}")?;
            separator = "\n";
        }
        if self.left_out > 0 {
            write!(formatter, "{separator}and {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
