//! What a document becomes.

/// The most bytes of strings in one document, repeated ones included.
pub const EXPANDED_MAX: usize = 16 << 20;

/// A value of YAML.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Nothing; also an integer that 64 bits with a sign cannot hold.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with a point or an exponent, infinity or not-a-number.
    Float(f64),
    /// A string: UTF-8, except where it was written as `!!binary`.
    String(Vec<u8>),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys, none of them twice, and values, in the order of the document; merged ones come last.
    Mapping(Vec<(Node, Node)>),
}

/// How large a tree is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Values and keys.
    pub(super) nodes: usize,
    /// Bytes of strings.
    pub(super) bytes: usize,
    /// Levels of lists and mappings.
    pub(super) depth: usize,
}

impl Node {
    /// Its size; the depth of trees is bounded, so it may recurse.
    pub(super) fn size(&self) -> Size {
        let mut size = Size {
            nodes: 1,
            ..Size::default()
        };
        let mut add = |inner: &Self| {
            let inner = inner.size();
            size.nodes += inner.nodes;
            size.bytes += inner.bytes;
            size.depth = size.depth.max(inner.depth + 1);
        };
        match self {
            Self::String(text) => size.bytes = text.len(),
            Self::Sequence(items) => {
                items.iter().for_each(add);
                size.depth = size.depth.max(1);
            }
            Self::Mapping(entries) => {
                for (key, value) in entries {
                    add(key);
                    add(value);
                }
                size.depth = size.depth.max(1);
            }
            _ => {}
        }
        size
    }

    /// What tells two keys apart; none when it cannot be a key.
    pub(super) fn key(&self) -> Option<Key> {
        Some(match self {
            Self::Null => Key::Null,
            Self::Bool(value) => Key::Bool(*value),
            Self::Int(value) => Key::Int(*value),
            Self::Float(value) => Key::Float(value.to_bits()),
            Self::String(text) => Key::String(text.clone()),
            Self::Sequence(_) | Self::Mapping(_) => return None,
        })
    }
}

/// A key that can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Null,
    Bool(bool),
    Int(i64),
    Float(u64),
    String(Vec<u8>),
}
