//! A reader of BTF, the kernel's description of its own types (Documentation/bpf/btf.rst).
//!
//! It looks up what the programs need and nothing more: members of structures (through anonymous
//! structures and unions), enumerators, and the arguments of tracepoints. It takes bytes, does no
//! I/O, never panics and never loops on bytes that make no sense: every index is checked, every
//! chain of types has a bound.

use std::collections::HashMap;

pub use super::btf_problem::{BtfError, Missing};

/// Where the running kernel describes itself.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The largest BTF that is read. Distribution kernels have 4 to 8 MB.
pub const SIZE_MAX: usize = 64 << 20;

const MAGIC: u16 = 0xeb9f;
const HEADER_MIN: usize = 24;
/// The deepest nesting of anonymous members, and the longest chain of typedefs and qualifiers,
/// that is followed. Kernels have up to 4.
const DEPTH_MAX: usize = 16;
/// The most members that are looked at for one look-up: structures that hold themselves many
/// times over would take for ever otherwise. `task_struct` has about 300.
const MEMBERS_MAX: u32 = 20_000;
/// The longest name that is read; without it, strings that never end would be walked to the last
/// byte for every type. The kernel's own symbols have at most 512 bytes (`KSYM_NAME_LEN`).
const NAME_MAX: usize = 512;

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bits from the start of the outermost structure.
    pub bit_offset: u32,
    /// Width in bits; of a pointer 64.
    pub bits: u32,
}

/// An argument of a tracepoint, qualifiers and typedefs of pointed-to types taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A pointer to the structure of that name; empty for `void *` and the like.
    Pointer(String),
    /// A number; the name is that of its outermost typedef or of the basic type.
    Scalar(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Void,
    Int,
    Pointer,
    Array,
    Structure,
    Enumeration,
    Enumeration64,
    Forward,
    Typedef,
    Qualifier,
    Function,
    Prototype,
    Other,
}

impl Kind {
    /// The kind and how many bytes follow the type's 12.
    fn of(kind: u8, vlen: usize) -> Option<(Self, usize)> {
        Some(match kind {
            1 => (Self::Int, 4),
            2 => (Self::Pointer, 0),
            3 => (Self::Array, 12),
            4 | 5 => (Self::Structure, vlen * 12),
            6 => (Self::Enumeration, vlen * 8),
            7 => (Self::Forward, 0),
            8 => (Self::Typedef, 0),
            // VOLATILE, CONST, RESTRICT and TYPE_TAG.
            9..=11 | 18 => (Self::Qualifier, 0),
            12 => (Self::Function, 0),
            13 => (Self::Prototype, vlen * 8),
            // VAR and DECL_TAG.
            14 | 17 => (Self::Other, 4),
            15 => (Self::Other, vlen * 12),
            // FLOAT is a number like any other here.
            16 => (Self::Int, 0),
            19 => (Self::Enumeration64, vlen * 12),
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    name: u32,
    kind: Kind,
    /// For structures: member offsets carry a width in their upper 8 bits.
    flag: bool,
    /// The size in bytes or the type referred to.
    size_or_type: u32,
    rest: &'a [u8],
}

/// The types of one kernel, with an index of the names that were asked for.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type starts; type 0 is void and has no bytes.
    starts: Vec<u32>,
    structures: HashMap<&'a [u8], u32>,
    typedefs: HashMap<&'a [u8], u32>,
    enumerators: HashMap<&'a [u8], i64>,
}

impl<'a> Btf<'a> {
    /// Reads BTF and notes where the types, typedefs and enumerators named in `wanted` are; others
    /// cannot be looked up later. One pass: about 3 ms for a kernel's 5 MB.
    pub fn parse(bytes: &'a [u8], wanted: &[&str]) -> Result<Self, BtfError> {
        if bytes.len() > SIZE_MAX {
            return Err(BtfError::Long(bytes.len()));
        }
        if bytes.len() < HEADER_MIN {
            return Err(BtfError::Short);
        }
        let magic = u16_at(bytes, 0).ok_or(BtfError::Short)?;
        if magic != MAGIC {
            return Err(BtfError::Magic(magic));
        }
        let version = bytes.get(2).copied().ok_or(BtfError::Short)?;
        if version != 1 {
            return Err(BtfError::Version(version));
        }
        let word = |index| u32_at(bytes, index).ok_or(BtfError::Short);
        let header = word(4)?;
        let section = |offset: u32, length: u32| {
            let start = header as usize + offset as usize;
            bytes
                .get(start..start + length as usize)
                .ok_or(BtfError::Short)
        };
        let mut btf = Self {
            types: section(word(8)?, word(12)?)?,
            strings: section(word(16)?, word(20)?)?,
            starts: Vec::new(),
            structures: HashMap::new(),
            typedefs: HashMap::new(),
            enumerators: HashMap::new(),
        };
        btf.index(wanted)?;
        Ok(btf)
    }

    fn index(&mut self, wanted: &[&str]) -> Result<(), BtfError> {
        let mut names: Vec<&[u8]> = wanted.iter().map(|name| name.as_bytes()).collect();
        names.sort_unstable();
        // A type takes 12 bytes or more; kernels average 20.
        self.starts = Vec::with_capacity(self.types.len() / 20 + 2);
        self.starts.push(0);
        let mut at = 0;
        while at < self.types.len() {
            let id = u32::try_from(self.starts.len()).map_err(|_| BtfError::Short)?;
            let found = self.type_at(at).map_err(|kind| match kind {
                Some(kind) => BtfError::Kind { id, kind },
                None => BtfError::Short,
            })?;
            self.starts
                .push(u32::try_from(at).map_err(|_| BtfError::Short)?);
            at += 12 + found.rest.len();
            let wide = match found.kind {
                Kind::Structure | Kind::Typedef => {
                    let name = self.name(found.name);
                    if !name.is_empty() && names.binary_search(&name).is_ok() {
                        let index = if found.kind == Kind::Structure {
                            &mut self.structures
                        } else {
                            &mut self.typedefs
                        };
                        index.entry(name).or_insert(id);
                    }
                    continue;
                }
                Kind::Enumeration => false,
                Kind::Enumeration64 => true,
                _ => continue,
            };
            for entry in found.rest.chunks_exact(if wide { 12 } else { 8 }) {
                let name = self.name(u32_at(entry, 0).unwrap_or(0));
                if names.binary_search(&name).is_ok() {
                    let low = u32_at(entry, 4).unwrap_or(0);
                    let value = match u32_at(entry, 8) {
                        Some(high) => (u64::from(high) << 32 | u64::from(low)).cast_signed(),
                        None => i64::from(low.cast_signed()),
                    };
                    self.enumerators.entry(name).or_insert(value);
                }
            }
        }
        Ok(())
    }

    /// The type whose bytes start at `at`; the error is its kind, if that is unknown.
    fn type_at(&self, at: usize) -> Result<Entry<'a>, Option<u8>> {
        let types: &'a [u8] = self.types;
        let word = |offset| u32_at(types, at + offset).ok_or(None);
        let (name, info, size_or_type) = (word(0)?, word(4)?, word(8)?);
        let number = (info >> 24 & 0x1f) as u8;
        let (kind, rest) = Kind::of(number, (info & 0xffff) as usize).ok_or(Some(number))?;
        Ok(Entry {
            name,
            kind,
            flag: info >> 31 == 1,
            size_or_type,
            rest: types.get(at + 12..at + 12 + rest).ok_or(None)?,
        })
    }

    fn type_of(&self, id: u32) -> Option<Entry<'a>> {
        if id == 0 {
            return Some(Entry {
                name: 0,
                kind: Kind::Void,
                flag: false,
                size_or_type: 0,
                rest: &[],
            });
        }
        let start = *self.starts.get(id as usize)?;
        self.type_at(start as usize).ok()
    }

    fn name(&self, offset: u32) -> &'a [u8] {
        let strings: &'a [u8] = self.strings;
        let rest = strings.get(offset as usize..).unwrap_or_default();
        let rest = rest.get(..NAME_MAX).unwrap_or(rest);
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
        rest.get(..end).unwrap_or_default()
    }

    /// Follows typedefs and qualifiers to the type behind them.
    fn resolve(&self, id: u32) -> Option<Entry<'a>> {
        let mut found = self.type_of(id)?;
        for _ in 0..DEPTH_MAX {
            match found.kind {
                Kind::Typedef | Kind::Qualifier => found = self.type_of(found.size_or_type)?,
                _ => return Some(found),
            }
        }
        None
    }

    fn bits(&self, id: u32) -> Option<u32> {
        let found = self.resolve(id)?;
        match found.kind {
            Kind::Pointer => Some(64),
            Kind::Array => {
                let element = self.resolve(u32_at(found.rest, 0)?)?;
                let bytes = match element.kind {
                    Kind::Pointer => 8,
                    // An array of arrays is loaded by nobody here.
                    Kind::Array => return None,
                    _ => element.size_or_type,
                };
                u32_at(found.rest, 8)?.checked_mul(bytes)?.checked_mul(8)
            }
            Kind::Void | Kind::Function | Kind::Prototype | Kind::Forward => None,
            _ => found.size_or_type.checked_mul(8),
        }
    }

    /// Whether the kernel has a structure or union of that name, if it was asked for.
    pub fn has_structure(&self, name: &str) -> bool {
        self.structures.contains_key(name.as_bytes())
    }

    /// The value of an enumerator, if it was asked for and exists.
    pub fn enumerator(&self, name: &str) -> Option<i64> {
        self.enumerators.get(name.as_bytes()).copied()
    }

    /// Finds a member; `path` goes through named members with dots (`ioac.rchar`) and through
    /// anonymous ones by itself.
    pub fn field(&self, structure: &str, path: &str) -> Result<Field, Missing> {
        let id = *self
            .structures
            .get(structure.as_bytes())
            .ok_or_else(|| Missing::Structure(structure.to_owned()))?;
        let missing = || Missing::Member {
            structure: structure.to_owned(),
            member: path.to_owned(),
        };
        let mut at = self.type_of(id).ok_or_else(missing)?;
        let mut offset = 0_u32;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            let (member, bit_offset, width) = self
                .member(at, part.as_bytes(), DEPTH_MAX, &mut { MEMBERS_MAX })
                .ok_or_else(missing)?;
            offset = offset.checked_add(bit_offset).ok_or_else(missing)?;
            if parts.peek().is_none() {
                let bits = match width {
                    0 => self.bits(member).ok_or_else(missing)?,
                    width => width,
                };
                return Ok(Field {
                    bit_offset: offset,
                    bits,
                });
            }
            at = self.resolve(member).ok_or_else(missing)?;
        }
        Err(missing())
    }

    /// The type, the offset in bits and the width of a bit field (else 0) of a member.
    fn member(
        &self,
        of: Entry<'a>,
        name: &[u8],
        depth: usize,
        budget: &mut u32,
    ) -> Option<(u32, u32, u32)> {
        if of.kind != Kind::Structure || depth == 0 {
            return None;
        }
        for entry in of.rest.chunks_exact(12) {
            *budget = budget.checked_sub(1)?;
            let (member, id) = (self.name(u32_at(entry, 0)?), u32_at(entry, 4)?);
            let packed = u32_at(entry, 8)?;
            let (offset, width) = if of.flag {
                (packed & 0xff_ffff, packed >> 24)
            } else {
                (packed, 0)
            };
            if member == name {
                return Some((id, offset, width));
            }
            if member.is_empty()
                && let Some(inner) = self.resolve(id)
                && let Some((id, within, width)) = self.member(inner, name, depth - 1, budget)
            {
                return Some((id, offset.checked_add(within)?, width));
            }
        }
        None
    }

    /// The arguments of a tracepoint without the leading `void *` of the kernel's own.
    ///
    /// The typedef `btf_trace_<name>` must have been asked for.
    pub fn tracepoint(&self, name: &str) -> Result<Vec<Argument>, Missing> {
        self.prototype(name)
            .ok_or_else(|| Missing::Tracepoint(name.to_owned()))
    }

    fn prototype(&self, name: &str) -> Option<Vec<Argument>> {
        let id = *self.typedefs.get(format!("btf_trace_{name}").as_bytes())?;
        let pointer = self.resolve(id)?;
        if pointer.kind != Kind::Pointer {
            return None;
        }
        let prototype = self.resolve(pointer.size_or_type)?;
        if prototype.kind != Kind::Prototype {
            return None;
        }
        prototype
            .rest
            .chunks_exact(8)
            .skip(1)
            .map(|parameter| self.argument(u32_at(parameter, 4)?))
            .collect()
    }

    fn argument(&self, id: u32) -> Option<Argument> {
        // The first name on the way to the type is what the kernel's source says.
        let mut found = self.type_of(id)?;
        let mut named = found.name;
        for _ in 0..DEPTH_MAX {
            if !matches!(found.kind, Kind::Typedef | Kind::Qualifier) {
                break;
            }
            found = self.type_of(found.size_or_type)?;
            if named == 0 {
                named = found.name;
            }
        }
        if found.kind == Kind::Pointer {
            let target = self.resolve(found.size_or_type)?;
            return Some(Argument::Pointer(text(self.name(target.name))));
        }
        Some(Argument::Scalar(text(self.name(named))))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let slice = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(slice.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let slice = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(slice.try_into().ok()?))
}

#[cfg(test)]
#[path = "btf_tests.rs"]
mod tests;
