//! The part of XPath that Go's package `xmlpath` has.
//!
//! A path is made of steps, `axis::test[predicate]…` with `/` or `//` between them. All axes but
//! `namespace` are there, the short forms `.`, `..`, `@name` and `//`, the tests `name`, `*`,
//! `node()`, `text()`, `comment()` and `processing-instruction()`, and predicates made of `[N]`,
//! `[last()]`, `[path]`, `[path='text']`, `contains(path, 'text')`, `starts-with(path, 'text')`,
//! `not(…)`, `and`, `or` and parentheses. Names are compared without their prefix, and a path
//! cannot have one.
//!
//! Nodes are found in the order of the search: that of the document within the result of each step
//! for each node of the step before, and nearest first on the axes that look back.

mod axis;
mod document;
mod evaluate;
mod path;

pub use document::{ATTRIBUTES_MAX, NAMESPACES_MAX, NODES_MAX, TEXT_MAX};
pub use evaluate::{RESULT_MAX, STEPS_MAX, find};
pub use path::{NESTING_MAX, PATH_MAX};

/// Why a search gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlPathError {
    /// The text is not XML, or too much of it.
    #[error("XML syntax error: {0}")]
    Document(String),
    /// The path cannot be read.
    #[error("compiling xml path {}:{at}: {problem}", super::quote(.path.as_bytes()))]
    Path {
        /// The path.
        path: String,
        /// The byte where reading stopped, counted from 0.
        at: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The search looks at too many nodes, or its result is too long.
    #[error("xml path too complex for this document")]
    TooComplex,
}

#[cfg(test)]
mod tests;
