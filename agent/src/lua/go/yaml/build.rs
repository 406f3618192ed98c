//! From the events of a parser to a tree.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::flow::{FLOW_MAX, Lookahead, Watched};
use super::scalar::{self, Tag};
use super::tree::{EXPANDED_MAX, Key, Node, Size};

/// The longest text in bytes.
pub const TEXT_MAX: usize = 4 << 20;

/// The most values and keys, repeated ones included. Each takes some 100 bytes.
pub const NODES_MAX: usize = 262_144;

/// The deepest nesting of lists and mappings.
pub const DEPTH_MAX: usize = 100;

/// A text that is not YAML, or too much of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("yaml: line {line}: {problem}")]
pub struct YamlError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// Reads the first document of a text; a text without one is [`Node::Null`].
///
/// # Errors
/// When it is not YAML or passes a limit.
pub fn decode(text: &[u8]) -> Result<Node, YamlError> {
    let at_start = |problem: String| YamlError { line: 1, problem };
    if text.len() > TEXT_MAX {
        return Err(at_start(format!("longer than {TEXT_MAX} bytes")));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let valid = text.get(..error.valid_up_to()).unwrap_or_default();
        YamlError {
            line: 1 + memchr::memchr_iter(b'\n', valid).count(),
            problem: "invalid UTF-8".to_owned(),
        }
    })?;
    let lookahead = Lookahead::default();
    let mut parser = Parser::new_from_iter(Watched::new(text, &lookahead));
    let mut builder = Builder::default();
    let mut line = 1;
    while let Some(event) = parser.next_event() {
        if lookahead.is_too_far() {
            let problem = format!(
                "more than some {FLOW_MAX} values, commas, colons and brackets in one [...], {{...}} \
                 or text; read JSON with json.decode, or have it written without brackets"
            );
            return Err(YamlError { line, problem });
        }
        lookahead.restart();
        let (event, span) = event.map_err(|error| YamlError {
            line: error.marker().line(),
            problem: error.info().to_owned(),
        })?;
        line = span.end.line().max(1);
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.take(event).map_err(|problem| YamlError {
            line: span.start.line(),
            problem,
        })?;
    }
    Ok(builder.root.unwrap_or(Node::Null))
}

/// A list or mapping that has not ended.
struct Frame {
    /// The number of its anchor; 0 for none.
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

#[derive(Default)]
struct Mapping {
    entries: Vec<(Node, Node)>,
    /// Where each key is in the entries.
    places: HashMap<Key, usize>,
    /// The key whose value comes next.
    pending: Option<Pending>,
    /// What merge keys bring in, the first ones counting most.
    merged: Vec<(Node, Node)>,
}

enum Pending {
    Key(Node),
    Merge,
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    frames: Vec<Frame>,
    /// What anchors stand for, by number; none while the anchored value has not ended.
    anchors: HashMap<usize, Option<Node>>,
    size: Size,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let tag = tag.map(Cow::into_owned);
                let is_merge_tag = tag
                    .as_ref()
                    .is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "merge");
                if text == "<<" && ((plain && tag.is_none()) || is_merge_tag) && self.wants_key() {
                    return self.merge_key();
                }
                let node = scalar::resolve(&text, plain, known(tag.as_ref()))?;
                self.charge(node.size())?;
                self.anchor(anchor, &node)?;
                self.add(node)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Content::Sequence(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.open(anchor, Content::Mapping(Mapping::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let node = match self.anchors.get(&anchor) {
                    Some(Some(node)) => node,
                    Some(None) => return Err("anchor value contains itself".to_owned()),
                    None => return Err("unknown anchor referenced".to_owned()),
                };
                let size = node.size();
                if self.frames.len() + size.depth > DEPTH_MAX {
                    return Err(too_deep());
                }
                let node = node.clone();
                self.charge(size)?;
                self.add(node)
            }
            _ => Ok(()),
        }
    }

    /// Counts nodes and bytes before there are more of them than may be.
    fn charge(&mut self, size: Size) -> Result<(), String> {
        self.size.nodes += size.nodes;
        self.size.bytes += size.bytes;
        if self.size.nodes > NODES_MAX {
            return Err(format!(
                "more than {NODES_MAX} values, with those that aliases repeat"
            ));
        }
        if self.size.bytes > EXPANDED_MAX {
            return Err(format!(
                "more than {EXPANDED_MAX} bytes of strings, with those that aliases repeat"
            ));
        }
        Ok(())
    }

    /// Keeps a value for its aliases. It is one more copy, so it counts as one.
    fn anchor(&mut self, anchor: usize, node: &Node) -> Result<(), String> {
        if anchor == 0 {
            return Ok(());
        }
        self.charge(node.size())?;
        self.anchors.insert(anchor, Some(node.clone()));
        Ok(())
    }

    fn open(&mut self, anchor: usize, content: Content) -> Result<(), String> {
        if self.frames.len() >= DEPTH_MAX {
            return Err(too_deep());
        }
        let nodes = 1;
        self.charge(Size {
            nodes,
            ..Size::default()
        })?;
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.frames.push(Frame { anchor, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let node = match frame.content {
            Content::Sequence(items) => Node::Sequence(items),
            Content::Mapping(mapping) => Node::Mapping(mapping.finish()),
        };
        self.anchor(frame.anchor, &node)?;
        self.add(node)
    }

    /// Whether the next value is a key.
    fn wants_key(&self) -> bool {
        match self.frames.last() {
            Some(Frame {
                content: Content::Mapping(mapping),
                ..
            }) => mapping.pending.is_none(),
            _ => false,
        }
    }

    fn merge_key(&mut self) -> Result<(), String> {
        if let Some(Frame {
            content: Content::Mapping(mapping),
            ..
        }) = self.frames.last_mut()
        {
            mapping.pending = Some(Pending::Merge);
        }
        let nodes = 1;
        self.charge(Size {
            nodes,
            ..Size::default()
        })
    }

    /// Puts a whole value where it belongs.
    fn add(&mut self, node: Node) -> Result<(), String> {
        match self.frames.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping(mapping)) => mapping.add(node)?,
        }
        Ok(())
    }
}

impl Mapping {
    fn add(&mut self, node: Node) -> Result<(), String> {
        match self.pending.take() {
            None => {
                if node.key().is_none() {
                    return Err("invalid map key: a list or a mapping".to_owned());
                }
                self.pending = Some(Pending::Key(node));
            }
            Some(Pending::Key(key)) => self.set(key, node),
            Some(Pending::Merge) => self.merge(node)?,
        }
        Ok(())
    }

    /// Sets a value; of two with one key the later counts.
    fn set(&mut self, key: Node, value: Node) {
        let Some(name) = key.key() else {
            return;
        };
        let place = self.places.get(&name);
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(*place)) {
            entry.1 = value;
        } else {
            self.places.insert(name, self.entries.len());
            self.entries.push((key, value));
        }
    }

    fn merge(&mut self, node: Node) -> Result<(), String> {
        let wrong = || "map merge requires map or sequence of maps as the value".to_owned();
        match node {
            Node::Mapping(entries) => self.merged.extend(entries),
            Node::Sequence(items) => {
                for item in items {
                    let Node::Mapping(entries) = item else {
                        return Err(wrong());
                    };
                    self.merged.extend(entries);
                }
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<(Node, Node)> {
        for (key, value) in std::mem::take(&mut self.merged) {
            let is_new = key
                .key()
                .is_some_and(|name| !self.places.contains_key(&name));
            if is_new {
                self.set(key, value);
            }
        }
        self.entries
    }
}

fn too_deep() -> String {
    format!("nested more than {DEPTH_MAX} levels deep")
}

/// The tag of a scalar, as far as it has a meaning here.
fn known(tag: Option<&saphyr_parser::Tag>) -> Tag {
    let Some(tag) = tag else {
        return Tag::Implicit;
    };
    if !tag.is_yaml_core_schema() {
        return Tag::String;
    }
    match tag.suffix.as_str() {
        "bool" => Tag::Bool,
        "int" => Tag::Int,
        "float" => Tag::Float,
        "null" => Tag::Null,
        "binary" => Tag::Binary,
        _ => Tag::String,
    }
}
