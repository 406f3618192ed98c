//! The eBPF objects as they were when the agent was built, and the tag that names their version.

use std::collections::BTreeMap;

include!(concat!(env!("OUT_DIR"), "/objects.rs"));

/// One of the three object files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// Disk requests.
    Block,
    /// TCP.
    Tcp,
    /// IO of processes.
    Process,
}

impl Object {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Block, Self::Tcp, Self::Process];

    /// The object's name in the configuration, in `moonward status` and in descriptor names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Tcp => "tcp",
            Self::Process => "process",
        }
    }

    /// The object file, if the agent was built with it.
    pub const fn bytes(self) -> Option<&'static [u8]> {
        match self {
            Self::Block => BLOCK,
            Self::Tcp => TCP,
            Self::Process => PROCESS,
        }
    }

    /// The maps that are read from user space, and so kept over a restart.
    pub const fn maps(self) -> &'static [&'static str] {
        match self {
            Self::Block => &["DIRECTORY", "RECORDS", "SKIPPED"],
            Self::Tcp => &["COUNTERS"],
            Self::Process => &["EXITED", "HELD"],
        }
    }
}

/// A number for this version of an object on this kernel: maps and attachments of another one are
/// of no use. FNV-1a over the object file and the settings; a checksum, not a seal.
pub(super) fn tag(bytes: &[u8], settings: &BTreeMap<&'static str, u64>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    add(bytes);
    for (name, value) in settings {
        add(name.as_bytes());
        add(&value.to_le_bytes());
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_follows_object_and_settings() {
        let none = BTreeMap::new();
        let one = BTreeMap::from([("A", 1_u64)]);
        let two = BTreeMap::from([("A", 2_u64)]);
        assert_eq!(tag(b"object", &one), tag(b"object", &one));
        assert_ne!(tag(b"object", &one), tag(b"object", &two));
        assert_ne!(tag(b"object", &one), tag(b"objecu", &one));
        assert_eq!(tag(b"", &none), "cbf29ce484222325");
    }
}
