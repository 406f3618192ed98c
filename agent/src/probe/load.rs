//! Loads the objects and attaches every program alone.
//!
//! One program that this kernel cannot run, or refuses, takes nothing else with it: it gets a
//! verdict with a reason. What the last agent left running is adopted instead of loaded anew.
//! Nothing stays with aya after loading: the descriptors of maps, programs and links are kept as
//! they are, so that they can be stored.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{Map, MapData};
use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfLoader};

use super::block;
use super::btf::{self, Btf};
use super::fdstore::{Attached, Running, Store};
use super::objects::{self, Object};
use super::offsets::{self, Hook, PROGRAMS, Resolved};
use super::sys;
use crate::telemetry::status::Verdict;

/// What became of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramVerdict {
    /// The object that holds it.
    pub object: Object,
    /// Its function.
    pub program: &'static str,
    /// What it measures.
    pub purpose: &'static str,
    /// How it is doing.
    pub verdict: Verdict,
}

/// What runs in the kernel, and a verdict for every program.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) running: Vec<Running>,
    pub(super) adopted: Vec<Object>,
    pub(super) verdicts: Vec<ProgramVerdict>,
}

const NO_OBJECTS: &str = "built without the eBPF objects; run cargo xtask ebpf";
const NO_CAPABILITY: &str =
    "the capabilities CAP_BPF and CAP_PERFMON are missing (run as root, or as the systemd unit)";

/// Loads, or adopts, every object of `enabled`.
pub(super) fn load(enabled: &[Object], store: &mut Store) -> Outcome {
    let mut outcome = Outcome::default();
    for object in Object::ALL {
        if !enabled.contains(&object) {
            outcome.all(object, &Verdict::Off);
        }
    }
    let mut wanted = Vec::new();
    for object in Object::ALL
        .into_iter()
        .filter(|object| enabled.contains(object))
    {
        match object.bytes() {
            Some(bytes) => wanted.push((object, bytes)),
            None => outcome.all(object, &Verdict::Unsupported(NO_OBJECTS.into())),
        }
    }
    if wanted.is_empty() {
        return outcome;
    }
    let resolved = match resolve(&wanted) {
        Ok(resolved) => resolved,
        Err(verdict) => {
            for (object, _) in wanted {
                outcome.all(object, &verdict);
            }
            return outcome;
        }
    };
    let mut missing = Vec::new();
    for ((object, bytes), resolved) in wanted.into_iter().zip(resolved) {
        let tag = objects::tag(bytes, &resolved.settings);
        let programs: Vec<&'static str> = supported(object, &resolved)
            .map(|program| program.name)
            .collect();
        if let Some(running) = store.adopt(object, &tag, &programs) {
            outcome.conclude(object, &resolved, &running, &BTreeMap::new());
            outcome.adopted.push(object);
            outcome.running.push(running);
        } else {
            missing.push((object, bytes, resolved, tag));
        }
    }
    if !missing.is_empty() {
        load_anew(missing, &mut outcome);
    }
    outcome
        .verdicts
        .sort_by_key(|verdict| PROGRAMS.iter().position(|p| p.name == verdict.program));
    outcome
}

fn supported(
    object: Object,
    resolved: &Resolved,
) -> impl Iterator<Item = &'static offsets::Program> {
    PROGRAMS.iter().filter(move |program| {
        program.object == object.as_str() && !resolved.unsupported.contains_key(program.name)
    })
}

/// Reads the kernel's types once for all objects.
fn resolve(wanted: &[(Object, &'static [u8])]) -> Result<Vec<Resolved>, Verdict> {
    let bytes = std::fs::read(btf::KERNEL_BTF).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Verdict::Unsupported(format!(
            "this kernel does not describe its types: there is no {} (CONFIG_DEBUG_INFO_BTF)",
            btf::KERNEL_BTF
        )),
        _ => Verdict::Failed(format!("{} cannot be read: {error}", btf::KERNEL_BTF)),
    })?;
    let names = offsets::wanted_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let btf = Btf::parse(&bytes, &names).map_err(|error| Verdict::Failed(error.to_string()))?;
    Ok(wanted
        .iter()
        .map(|(object, _)| offsets::resolve(&btf, object.as_str()))
        .collect())
}

type Missing = Vec<(Object, &'static [u8], Resolved, String)>;

fn load_anew(missing: Missing, outcome: &mut Outcome) {
    if !may_load() {
        for (object, ..) in missing {
            outcome.all(object, &Verdict::Unsupported(NO_CAPABILITY.into()));
        }
        return;
    }
    // aya's loader reads the kernel's types when it is made and keeps them; the objects have no
    // relocations that need them, so that memory is given back at once, and one loader serves all.
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    let kernel = match aya::Btf::from_sys_fs() {
        Ok(kernel) => kernel,
        Err(error) => {
            for (object, ..) in missing {
                outcome.all(object, &Verdict::Failed(error.to_string()));
            }
            return;
        }
    };
    // The names of globals are unique over all objects, so one loader can know them all.
    let settings: BTreeMap<&'static str, u64> = missing
        .iter()
        .flat_map(|(_, _, resolved, _)| resolved.settings.clone())
        .collect();
    for (name, value) in &settings {
        loader.override_global(name, value, false);
    }
    let records = block::table_size();
    let table_size = u64::from(records);
    loader.map_max_entries("RECORDS", records);
    loader.override_global("TABLE_SIZE", &table_size, false);
    for (object, bytes, resolved, tag) in missing {
        match loader.load(bytes) {
            Ok(mut ebpf) => {
                let (running, failures) = attach(object, tag, &resolved, &mut ebpf, &kernel);
                outcome.conclude(object, &resolved, &running, &failures);
                if !running.programs.is_empty() {
                    outcome.running.push(running);
                }
            }
            Err(error) => outcome.all(object, &Verdict::Failed(chain(&error))),
        }
    }
}

/// Whether the process has what loading needs. Without, the kernel would refuse in as many words
/// as there are programs.
fn may_load() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};
    // CAP_SYS_ADMIN implies both (capabilities(7)).
    let both = CapabilitySet::BPF | CapabilitySet::PERFMON;
    capabilities(None).is_ok_and(|sets| {
        sets.effective.contains(both) || sets.effective.contains(CapabilitySet::SYS_ADMIN)
    })
}

fn attach(
    object: Object,
    tag: String,
    resolved: &Resolved,
    ebpf: &mut Ebpf,
    kernel: &aya::Btf,
) -> (Running, BTreeMap<&'static str, String>) {
    let mut running = Running {
        object,
        tag,
        maps: BTreeMap::new(),
        programs: Vec::new(),
    };
    let mut failures = BTreeMap::new();
    for name in object.maps() {
        let copy = ebpf
            .map(name)
            .and_then(data)
            .ok_or_else(|| io::Error::other(format!("the object has no map {name}")))
            .and_then(|map| map.fd().as_fd().try_clone_to_owned());
        match copy {
            Ok(descriptor) => {
                running.maps.insert(name, descriptor);
            }
            Err(error) => {
                for program in supported(object, resolved) {
                    failures.insert(program.name, error.to_string());
                }
                return (running, failures);
            }
        }
    }
    for program in supported(object, resolved) {
        match attach_one(program, ebpf, kernel) {
            Ok(attached) => running.programs.push(attached),
            Err(reason) => {
                failures.insert(program.name, reason);
            }
        }
    }
    (running, failures)
}

/// The kinds of map that are read from user space.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuHashMap(data) => Some(data),
        _ => None,
    }
}

fn attach_one(
    program: &offsets::Program,
    ebpf: &mut Ebpf,
    kernel: &aya::Btf,
) -> Result<Attached, String> {
    let loaded = ebpf
        .program_mut(program.name)
        .ok_or_else(|| format!("the object has no program {}", program.name))?;
    let refused = |error: ProgramError| chain_of_program(&error);
    let system = |what: &str, error: &io::Error| format!("{what}: {error}");
    let (copy, link): (io::Result<OwnedFd>, io::Result<OwnedFd>) = match (program.hook, loaded) {
        (Hook::Tracepoint(name, _), Program::BtfTracePoint(loaded)) => {
            loaded.load(name, kernel).map_err(refused)?;
            let descriptor = loaded.fd().map_err(refused)?.as_fd();
            (
                descriptor.try_clone_to_owned(),
                sys::attach_tracepoint(descriptor),
            )
        }
        (Hook::Iterator(kind), Program::Iter(loaded)) => {
            loaded.load(kind, kernel).map_err(refused)?;
            let descriptor = loaded.fd().map_err(refused)?.as_fd();
            (
                descriptor.try_clone_to_owned(),
                sys::attach_iterator(descriptor),
            )
        }
        _ => return Err(format!("{} is of another kind in the object", program.name)),
    };
    Ok(Attached {
        name: program.name,
        program: copy.map_err(|error| system("the program cannot be kept", &error))?,
        link: link.map_err(|error| system("the kernel refused to attach the program", &error))?,
    })
}

/// An error with all its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the kernel's verifier said last, not the whole of its log.
fn chain_of_program(error: &ProgramError) -> String {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    else {
        return chain(error);
    };
    let log = verifier_log.to_string();
    let said = log
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !line.starts_with("processed "))
        .unwrap_or("it gave no reason");
    format!("the kernel refused the program: {io_error}: {said}")
}

impl Outcome {
    fn all(&mut self, object: Object, verdict: &Verdict) {
        for program in PROGRAMS
            .iter()
            .filter(|program| program.object == object.as_str())
        {
            self.verdicts.push(ProgramVerdict {
                object,
                program: program.name,
                purpose: program.purpose,
                verdict: verdict.clone(),
            });
        }
    }

    fn conclude(
        &mut self,
        object: Object,
        resolved: &Resolved,
        running: &Running,
        failures: &BTreeMap<&'static str, String>,
    ) {
        for program in PROGRAMS
            .iter()
            .filter(|program| program.object == object.as_str())
        {
            let runs = running
                .programs
                .iter()
                .any(|attached| attached.name == program.name);
            let reduced = resolved
                .reduced
                .iter()
                .find(|(name, _)| *name == program.name);
            let verdict = if let Some(reason) = resolved.unsupported.get(program.name) {
                Verdict::Unsupported(reason.clone())
            } else if let Some(reason) = failures.get(program.name) {
                Verdict::Failed(reason.clone())
            } else if !runs {
                Verdict::Failed("it is not attached".to_owned())
            } else if let Some((_, loss)) = reduced {
                Verdict::Degraded(loss.clone())
            } else {
                Verdict::Active
            };
            self.verdicts.push(ProgramVerdict {
                object,
                program: program.name,
                purpose: program.purpose,
                verdict,
            });
        }
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
