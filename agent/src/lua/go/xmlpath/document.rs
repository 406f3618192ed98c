//! From text to a document, within limits.

use roxmltree::{Document, ParsingOptions};

use super::XmlPathError;

/// The longest text in bytes.
pub const TEXT_MAX: usize = 4 << 20;

/// The most nodes of a document. Each takes some 100 bytes.
pub const NODES_MAX: u32 = 262_144;

/// The most attributes of one element. The parser compares each with every other.
pub const ATTRIBUTES_MAX: usize = 256;

/// The most declarations of namespaces. The parser copies what is declared above into the list of
/// each element that declares one, so the work grows with the cube of their number: 0.1 s for these.
pub const NAMESPACES_MAX: usize = 512;

/// Reads a document. What it declares of its own type is skipped; entities of its own are refused,
/// since each reference to one could stand for all of the text.
pub(super) fn read(text: &str) -> Result<Document<'_>, XmlPathError> {
    let refuse = |problem: String| Err(XmlPathError::Document(problem));
    if text.len() > TEXT_MAX {
        return refuse(format!("longer than {TEXT_MAX} bytes"));
    }
    let bytes = text.as_bytes();
    if memchr::memmem::find(bytes, b"<!ENTITY").is_some() {
        return refuse("declarations of entities are not allowed".to_owned());
    }
    if memchr::memmem::find_iter(bytes, b"xmlns").count() > NAMESPACES_MAX {
        return refuse(format!(
            "more than {NAMESPACES_MAX} declarations of namespaces"
        ));
    }
    // No attribute has `<` in it, so every tag lies in one piece.
    if bytes.split(|byte| *byte == b'<').any(has_many_attributes) {
        return refuse(format!(
            "more than {ATTRIBUTES_MAX} attributes in one element"
        ));
    }
    let options = ParsingOptions {
        allow_dtd: true,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options)
        .map_err(|error| XmlPathError::Document(error.to_string()))
}

/// Whether a tag, from after its `<`, has more than [`ATTRIBUTES_MAX`] texts in quotes.
fn has_many_attributes(tag: &[u8]) -> bool {
    let mut count = 0;
    let mut rest = tag;
    while let Some(at) = memchr::memchr3(b'"', b'\'', b'>', rest) {
        let quote = rest.get(at).copied().unwrap_or(b'>');
        let after = rest.get(at + 1..).unwrap_or_default();
        if quote == b'>' {
            break;
        }
        count += 1;
        let Some(end) = memchr::memchr(quote, after) else {
            break;
        };
        rest = after.get(end + 1..).unwrap_or_default();
    }
    count > ATTRIBUTES_MAX
}
