//! What a path finds in a document.

use std::collections::HashSet;

use roxmltree::Node;

use super::XmlPathError;
use super::axis::{Axis, Item};
use super::document;
use super::path::{self, Condition, Path, Step, Test};

/// How many nodes a search may look at, those it looks at again included: some 0.2 s.
pub const STEPS_MAX: u64 = 5_000_000;

/// The most bytes of text in a result.
pub const RESULT_MAX: usize = 16 << 20;

/// The text of every node that a path finds in a document. The text of an element is all text in
/// it, that of an attribute its value.
///
/// # Errors
/// When the document is not XML, the path cannot be read, or a limit is passed.
pub fn find(xml: &[u8], path: &str) -> Result<Vec<String>, XmlPathError> {
    let path = path::parse(path)?;
    let text =
        std::str::from_utf8(xml).map_err(|_| XmlPathError::Document("invalid UTF-8".to_owned()))?;
    let document = document::read(text)?;
    let mut search = Search {
        root: document.root(),
        left: STEPS_MAX,
    };
    let found = search.select(&path, Item::Tree(document.root()))?;
    let mut texts = Vec::with_capacity(found.len());
    let mut bytes = 0;
    for item in found {
        let text = search.text(item)?;
        bytes += text.len();
        if bytes > RESULT_MAX {
            return Err(XmlPathError::TooComplex);
        }
        texts.push(text);
    }
    Ok(texts)
}

struct Search<'a, 'input> {
    root: Node<'a, 'input>,
    /// Nodes that may still be looked at.
    left: u64,
}

impl<'a, 'input: 'a> Search<'a, 'input> {
    fn spend(&mut self, steps: usize) -> Result<(), XmlPathError> {
        let left = self.left.checked_sub(steps as u64);
        self.left = left.ok_or(XmlPathError::TooComplex)?;
        Ok(())
    }

    /// The nodes that a path finds from a node on, none of them twice.
    fn select(
        &mut self,
        path: &Path,
        from: Item<'a, 'input>,
    ) -> Result<Vec<Item<'a, 'input>>, XmlPathError> {
        let start = if path.absolute {
            Item::Tree(self.root)
        } else {
            from
        };
        let mut items = vec![start];
        for step in &path.steps {
            let mut next = Vec::new();
            let mut seen = HashSet::new();
            for item in items {
                let found = self.step(step, item)?;
                next.extend(found.into_iter().filter(|item| seen.insert(item.id())));
            }
            items = next;
        }
        Ok(items)
    }

    /// The nodes that one step finds from one node.
    fn step(
        &mut self,
        step: &Step,
        from: Item<'a, 'input>,
    ) -> Result<Vec<Item<'a, 'input>>, XmlPathError> {
        self.spend(1)?;
        let mut found = Vec::new();
        for item in from.along(step.axis) {
            self.spend(1)?;
            if fits(&step.test, step.axis, item) {
                found.push(item);
            }
        }
        for condition in &step.predicates {
            let last = found.len();
            let mut kept = Vec::new();
            for (index, item) in found.into_iter().enumerate() {
                if self.holds(condition, item, index + 1, last)? {
                    kept.push(item);
                }
            }
            found = kept;
        }
        Ok(found)
    }

    /// Whether a condition holds for a node at a position, counted from 1. The nesting of
    /// conditions is bounded where they are read.
    fn holds(
        &mut self,
        condition: &Condition,
        item: Item<'a, 'input>,
        position: usize,
        last: usize,
    ) -> Result<bool, XmlPathError> {
        self.spend(1)?;
        match condition {
            Condition::Position(wanted) => Ok(position == *wanted),
            Condition::Last => Ok(position == last),
            Condition::Exists(path) => Ok(!self.select(path, item)?.is_empty()),
            Condition::Equals(path, text) => self.any(path, item, |found| found == text),
            Condition::Contains(path, text) => self.any(path, item, |found| {
                memchr::memmem::find(found.as_bytes(), text.as_bytes()).is_some()
            }),
            Condition::StartsWith(path, text) => {
                self.any(path, item, |found| found.starts_with(text.as_str()))
            }
            Condition::Not(inner) => Ok(!self.holds(inner, item, position, last)?),
            Condition::All(conditions) => {
                for condition in conditions {
                    if !self.holds(condition, item, position, last)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::Any(conditions) => {
                for condition in conditions {
                    if self.holds(condition, item, position, last)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// Whether the text of any node that the path finds fits.
    fn any(
        &mut self,
        path: &Path,
        from: Item<'a, 'input>,
        fits: impl Fn(&str) -> bool,
    ) -> Result<bool, XmlPathError> {
        for item in self.select(path, from)? {
            if fits(&self.text(item)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn text(&mut self, item: Item<'a, 'input>) -> Result<String, XmlPathError> {
        let node = match item {
            Item::Attribute(element, number) => {
                let attribute = element.attributes().nth(number);
                let value = attribute.map(|attribute| attribute.value());
                return self.copy(value);
            }
            Item::Tree(node) => node,
        };
        if let Some(instruction) = node.pi() {
            return self.copy(instruction.value);
        }
        if node.is_text() || node.is_comment() {
            return self.copy(node.text());
        }
        let mut text = String::new();
        for inner in node.descendants() {
            self.spend(1)?;
            if inner.is_text() {
                let part = inner.text().unwrap_or_default();
                self.spend(part.len() / 16)?;
                text.push_str(part);
            }
        }
        Ok(text)
    }

    fn copy(&mut self, text: Option<&str>) -> Result<String, XmlPathError> {
        let text = text.unwrap_or_default();
        self.spend(1 + text.len() / 16)?;
        Ok(text.to_owned())
    }
}

/// Whether a node on an axis is what the step looks for.
fn fits(test: &Test, axis: Axis, item: Item<'_, '_>) -> bool {
    let node = match item {
        Item::Attribute(element, number) => {
            return match test {
                Test::Node => true,
                Test::AnyName => axis == Axis::Attribute,
                Test::Name(wanted) => {
                    let attribute = element.attributes().nth(number);
                    axis == Axis::Attribute && attribute.is_some_and(|found| found.name() == wanted)
                }
                Test::Text | Test::Comment | Test::Instruction(_) => false,
            };
        }
        Item::Tree(node) => node,
    };
    match test {
        Test::Node => true,
        Test::AnyName => node.is_element(),
        Test::Name(wanted) => node.is_element() && node.tag_name().name() == wanted,
        Test::Text => node.is_text(),
        Test::Comment => node.is_comment(),
        Test::Instruction(wanted) => node
            .pi()
            .is_some_and(|found| wanted.as_ref().is_none_or(|wanted| found.target == wanted)),
    }
}
