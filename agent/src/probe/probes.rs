//! All probes of the agent: load once, read by object, hand the descriptors on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::block;
use super::cost;
use super::fdstore::{Running, Store};
use super::load::{self, ProgramVerdict};
use super::map::MapError;
use super::objects::Object;
use super::process;
use super::sys;
use super::tcp;
use crate::model::Batch;
use crate::telemetry::status::Verdict;

/// Which probes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Requests, errors and latency of disks.
    pub block: bool,
    /// TCP connections, failures, retransmits and resets.
    pub tcp: bool,
    /// IO of all processes, short-lived ones included.
    pub process: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            block: true,
            tcp: true,
            process: true,
        }
    }
}

impl Config {
    fn enabled(self) -> Vec<Object> {
        Object::ALL
            .into_iter()
            .filter(|object| match object {
                Object::Block => self.block,
                Object::Tcp => self.tcp,
                Object::Process => self.process,
            })
            .collect()
    }
}

/// The probes: what runs in the kernel, and the readers of its maps.
///
/// Loading needs CAP_BPF and CAP_PERFMON; reading needs nothing but the descriptors (from Linux
/// 5.19 on), so capabilities can be dropped in between.
#[derive(Debug, Default)]
pub struct Probes {
    running: Vec<Running>,
    adopted: Vec<Object>,
    verdicts: Vec<ProgramVerdict>,
    obsolete: Vec<String>,
    block: Option<block::Reader>,
    tcp: Option<tcp::Reader>,
    process: Option<process::Reader>,
    statistics: Option<OwnedFd>,
}

impl Probes {
    /// Adopts what the last agent left in the descriptor store, loads the rest. Never fails as a
    /// whole: see [`Probes::verdicts`].
    ///
    /// Returned beside the probes is what was inherited and is not theirs.
    pub fn load(
        config: Config,
        inherited: Vec<(String, OwnedFd)>,
    ) -> (Self, Vec<(String, OwnedFd)>) {
        let (mut store, others) = Store::new(inherited);
        let outcome = load::load(&config.enabled(), &mut store);
        let mut probes = Self {
            adopted: outcome.adopted,
            verdicts: outcome.verdicts,
            obsolete: store.finish(),
            ..Self::default()
        };
        for running in outcome.running {
            let object = running.object;
            match probes.open(&running) {
                Ok(()) => probes.running.push(running),
                Err(reason) => probes.fail(object, &reason),
            }
        }
        sys::trim_heap();
        (probes, others)
    }

    /// Makes the reader of an object, on copies of its descriptors.
    fn open(&mut self, running: &Running) -> Result<(), String> {
        let map = |name: &str| {
            running
                .maps
                .get(name)
                .ok_or_else(|| format!("the map {name} is missing"))
                .and_then(|map| map.try_clone().map_err(|error| error.to_string()))
        };
        let attached = |name: &str| running.programs.iter().find(|program| program.name == name);
        let words = |error: MapError| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        };
        match running.object {
            Object::Block => {
                let reader =
                    block::Reader::new(map("DIRECTORY")?, map("RECORDS")?, map("SKIPPED")?)
                        .map_err(words)?;
                self.block = Some(reader);
            }
            Object::Tcp => {
                let parts = tcp::Parts {
                    states: attached("inet_sock_set_state").is_some(),
                    retransmits: attached("tcp_retransmit_skb").is_some(),
                    resets_sent: attached("tcp_send_reset").is_some(),
                    resets_received: attached("tcp_receive_reset").is_some(),
                };
                let reader = tcp::Reader::new(map("COUNTERS")?, parts).map_err(words)?;
                self.tcp = Some(reader);
            }
            Object::Process => {
                let (Some(_), Some(walk)) =
                    (attached("sched_process_exit"), attached("walk_tasks"))
                else {
                    return Err("one of the two programs is missing, which both are needed".into());
                };
                let link = walk.link.try_clone().map_err(|error| error.to_string())?;
                let calls = self.verdicts.iter().all(|verdict| {
                    verdict.object != Object::Process
                        || !matches!(verdict.verdict, Verdict::Degraded(_))
                });
                let reader = process::Reader::new(map("EXITED")?, map("HELD")?, link, calls)
                    .map_err(words)?;
                self.process = Some(reader);
            }
        }
        Ok(())
    }

    fn fail(&mut self, object: Object, reason: &str) {
        for verdict in &mut self.verdicts {
            if verdict.object == object
                && matches!(verdict.verdict, Verdict::Active | Verdict::Degraded(_))
            {
                verdict.verdict = Verdict::Failed(reason.to_owned());
            }
        }
    }

    /// How every program is doing, in the order of the status list.
    pub fn verdicts(&self) -> &[ProgramVerdict] {
        &self.verdicts
    }

    /// The objects that can be read.
    pub fn objects(&self) -> Vec<Object> {
        self.running.iter().map(|running| running.object).collect()
    }

    /// The objects whose counters go on from the last agent.
    pub fn adopted(&self) -> &[Object] {
        &self.adopted
    }

    /// Adds the samples of one object; nothing if it does not run.
    pub fn read(&mut self, object: Object, batch: &mut Batch) -> io::Result<()> {
        match object {
            Object::Block => self.block.as_mut().map(|reader| reader.read(batch)),
            Object::Tcp => self.tcp.as_mut().map(|reader| reader.read(batch)),
            Object::Process => self.process.as_mut().map(|reader| reader.read(batch)),
        }
        .unwrap_or(Ok(()))
    }

    /// Adds what the programs of one object cost: lost runs always, time and runs only while the
    /// kernel measures them (`kernel.bpf_stats_enabled`, or [`Probes::measure_cost`]).
    pub fn read_cost(&self, object: Object, batch: &mut Batch) {
        for running in &self.running {
            if running.object == object {
                cost::read(running, batch);
            }
        }
    }

    /// Lets the kernel measure the programs until `on` is taken back. Needs CAP_SYS_ADMIN, and
    /// makes every run of every BPF program of the machine a little slower.
    pub fn measure_cost(&mut self, on: bool) -> io::Result<()> {
        self.statistics = if on {
            Some(sys::enable_statistics()?)
        } else {
            None
        };
        Ok(())
    }

    /// Looks device names up again, for disks that came and went.
    pub fn refresh_names(&mut self) {
        if let Some(block) = &mut self.block {
            block.refresh_names();
        }
    }

    /// What the service manager is to keep over a restart, with names: at most
    /// [`Probes::STORED_MAX`].
    pub fn stored_descriptors(&self) -> Vec<(String, BorrowedFd<'_>)> {
        self.running.iter().flat_map(Running::descriptors).collect()
    }

    /// How many descriptors [`Probes::stored_descriptors`] can be, for `FileDescriptorStoreMax=`.
    pub const STORED_MAX: usize = 24;

    /// Names in the store that nobody can use any more (another version, a probe that was switched
    /// off). The service manager is to be told to remove them; until then their programs run on.
    pub fn obsolete_descriptors(&self) -> &[String] {
        &self.obsolete
    }

    /// Kernel memory of all maps in bytes, as the kernel accounts it; 0 where it does not say.
    pub fn map_memory(&self) -> u64 {
        self.running
            .iter()
            .flat_map(|running| running.maps.values())
            .map(|map| cost::map_memory(map.as_fd()))
            .sum()
    }
}
