//! Descriptors that outlive the agent in the service manager's store (`FileDescriptorStoreMax=`).
//!
//! Kept are the maps that hold counters, the links that hold the attachments and the programs
//! (for their cost). As long as the store has them the kernel goes on counting, and an agent that
//! starts anew goes on reading where the last one stopped. A descriptor's name is
//! `map.<object>.<map>.<tag>`, `link.<object>.<program>.<tag>` or
//! `program.<object>.<program>.<tag>`: systemd allows no colon in names. The tag is that of the
//! object file and its settings, so another version or kernel never adopts what it cannot read.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::objects::Object;
use super::sys;

/// One program that runs in the kernel.
#[derive(Debug)]
pub(super) struct Attached {
    /// Its function.
    pub(super) name: &'static str,
    /// The loaded program.
    pub(super) program: OwnedFd,
    /// What keeps it attached.
    pub(super) link: OwnedFd,
}

/// Everything of one object that lives in the kernel.
#[derive(Debug)]
pub(super) struct Running {
    /// Which object.
    pub(super) object: Object,
    /// Its version.
    pub(super) tag: String,
    /// The maps that are read, by name.
    pub(super) maps: BTreeMap<&'static str, OwnedFd>,
    /// The programs that are attached.
    pub(super) programs: Vec<Attached>,
}

impl Running {
    /// The descriptors to be stored, with their names.
    pub(super) fn descriptors(&self) -> Vec<(String, BorrowedFd<'_>)> {
        let name =
            |kind: &str, part: &str| format!("{kind}.{}.{part}.{}", self.object.as_str(), self.tag);
        let maps = self
            .maps
            .iter()
            .map(|(map, descriptor)| (name("map", map), descriptor.as_fd()));
        let programs = self.programs.iter().flat_map(|program| {
            [
                (name("program", program.name), program.program.as_fd()),
                (name("link", program.name), program.link.as_fd()),
            ]
        });
        maps.chain(programs).collect()
    }
}

/// What the service manager gave back.
#[derive(Debug, Default)]
pub(super) struct Store {
    descriptors: BTreeMap<String, OwnedFd>,
    obsolete: Vec<String>,
}

impl Store {
    /// Sorts out what is not the probes' own: those are returned untouched.
    pub(super) fn new(inherited: Vec<(String, OwnedFd)>) -> (Self, Vec<(String, OwnedFd)>) {
        let mut store = Self::default();
        let mut others = Vec::new();
        for (name, descriptor) in inherited {
            let ours = ["map.", "link.", "program."]
                .iter()
                .any(|kind| name.starts_with(kind));
            if !ours {
                others.push((name, descriptor));
            } else if store.obsolete.contains(&name) || store.descriptors.remove(&name).is_some() {
                // Two of one name: no telling which is which, so neither is used.
                if !store.obsolete.contains(&name) {
                    store.obsolete.push(name);
                }
            } else {
                store.descriptors.insert(name, descriptor);
            }
        }
        (store, others)
    }

    /// Takes an object that the last agent left running: all its maps, and all of `programs`
    /// attached. If anything is missing nothing is taken.
    pub(super) fn adopt(
        &mut self,
        object: Object,
        tag: &str,
        programs: &[&'static str],
    ) -> Option<Running> {
        let name = |kind: &str, part: &str| format!("{kind}.{}.{part}.{tag}", object.as_str());
        let has = |name: String| self.descriptors.contains_key(&name);
        let complete = !programs.is_empty()
            && object.maps().iter().all(|map| has(name("map", map)))
            && programs
                .iter()
                .all(|program| has(name("program", program)) && has(name("link", program)));
        if !complete {
            return None;
        }
        let mut running = Running {
            object,
            tag: tag.to_owned(),
            maps: BTreeMap::new(),
            programs: Vec::new(),
        };
        for map in object.maps() {
            running
                .maps
                .insert(map, self.descriptors.remove(&name("map", map))?);
        }
        for program in programs {
            let attached = Attached {
                name: program,
                program: self.descriptors.remove(&name("program", program))?,
                link: self.descriptors.remove(&name("link", program))?,
            };
            if !belongs(&attached) {
                return None;
            }
            running.programs.push(attached);
        }
        Some(running)
    }

    /// Closes what nobody adopted and returns the names, so that the service manager can be told
    /// to forget them too: until then a stale link goes on running its program.
    pub(super) fn finish(self) -> Vec<String> {
        let mut names = self.obsolete;
        names.extend(self.descriptors.into_keys());
        names
    }
}

/// Whether the link really runs the program.
fn belongs(attached: &Attached) -> bool {
    let program = sys::program_info(attached.program.as_fd());
    let link = sys::link_info(attached.link.as_fd());
    matches!((program, link), (Ok(program), Ok(link)) if program.id == link.program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn other_rooms_descriptors_are_passed_on() {
        let (store, others) = Store::new(vec![
            ("http.socket".into(), descriptor()),
            ("map.block.RECORDS.1".into(), descriptor()),
        ]);
        assert_eq!(others.len(), 1);
        assert_eq!(store.finish(), ["map.block.RECORDS.1"]);
    }

    #[test]
    fn what_is_incomplete_or_false_is_not_adopted() {
        let all = |skip: &str| {
            ["map.tcp.COUNTERS.1", "program.tcp.a.1", "link.tcp.a.1"]
                .iter()
                .filter(|name| **name != skip)
                .map(|name| ((*name).to_owned(), descriptor()))
                .collect::<Vec<_>>()
        };
        for skip in ["map.tcp.COUNTERS.1", "link.tcp.a.1", "program.tcp.a.1", ""] {
            let (mut store, _) = Store::new(all(skip));
            // Even the complete set is refused: /dev/null is neither program nor link.
            assert!(store.adopt(Object::Tcp, "1", &["a"]).is_none(), "{skip}");
        }
        let (mut store, _) = Store::new(all(""));
        assert!(store.adopt(Object::Tcp, "2", &["a"]).is_none());
        assert_eq!(store.finish().len(), 3);
    }

    #[test]
    fn names_that_come_twice_are_not_used() {
        let (store, _) = Store::new(vec![
            ("map.a".into(), descriptor()),
            ("map.a".into(), descriptor()),
            ("map.a".into(), descriptor()),
        ]);
        assert_eq!(store.finish(), ["map.a"]);
    }
}
