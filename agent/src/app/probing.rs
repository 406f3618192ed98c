//! Puts the probes on the schedule and on the status board.
//!
//! Each program in the kernel has a page of its own (`block.block_rq_complete`), which shows
//! whether it is attached; each object has one too (`block`), which shows what its reading costs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::collect::{Collector, Round};
use crate::config::ProbeConfig;
use crate::model::Moment;
use crate::probe::{Config, Object, Probes};
use crate::telemetry::{Room, StatusBoard, Verdict};

/// How long the name of a device is taken as true.
const NAMES_HOLD: Duration = Duration::from_mins(1);

/// The probes as the schedule's thread and the status board share them.
pub(super) type SharedProbes = Arc<Mutex<Probes>>;

/// The probes that the configuration asks for.
pub(super) fn wanted(config: &ProbeConfig) -> Config {
    Config {
        block: config.enabled && config.block,
        tcp: config.enabled && config.tcp,
        process: config.enabled && config.process,
    }
}

/// Shows every program and every object on the board.
pub(super) fn show(probes: &SharedProbes, board: &StatusBoard) {
    let probes = probes.lock().unwrap_or_else(PoisonError::into_inner);
    for program in probes.verdicts() {
        let name = format!("{}.{}", program.object.as_str(), program.program);
        board.part(Room::Probe, &name, program.verdict.clone());
    }
    for object in Object::ALL {
        board.part(Room::Probe, object.as_str(), verdict(&probes, object));
    }
}

/// What the programs of one object come to together.
fn verdict(probes: &Probes, object: Object) -> Verdict {
    let verdicts: Vec<&Verdict> = probes
        .verdicts()
        .iter()
        .filter(|program| program.object == object)
        .map(|program| &program.verdict)
        .collect();
    let attached = verdicts
        .iter()
        .filter(|verdict| ***verdict == Verdict::Active)
        .count();
    let first_other = verdicts
        .iter()
        .find(|verdict| ***verdict != Verdict::Active);
    match first_other {
        None if attached > 0 => Verdict::Active,
        None => Verdict::Off,
        Some(other) if attached == 0 => (**other).clone(),
        Some(other) => Verdict::Degraded(other.to_string()),
    }
}

/// The readers of the objects that run in the kernel, for the schedule.
pub(super) fn readers(probes: &SharedProbes) -> Vec<Box<dyn Collector>> {
    let objects = probes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .objects();
    objects
        .into_iter()
        .map(|object| -> Box<dyn Collector> {
            Box::new(Reader {
                probes: Arc::clone(probes),
                object,
                names_at: Moment::default(),
            })
        })
        .collect()
}

/// Whether the process probe counts the IO of all processes, so that the collector need not.
pub(super) fn counts_process_io(probes: &SharedProbes) -> bool {
    let probes = probes.lock().unwrap_or_else(PoisonError::into_inner);
    probes.objects().contains(&Object::Process)
}

/// Reads the maps of one object.
struct Reader {
    probes: SharedProbes,
    object: Object,
    /// When the names of devices were looked up.
    names_at: Moment,
}

impl Collector for Reader {
    fn name(&self) -> &'static str {
        self.object.as_str()
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Verdict::Degraded(reason) = verdict(&probes, self.object) {
            round.lost(reason);
        }
        if self.object == Object::Block && round.now.since(self.names_at) >= NAMES_HOLD {
            probes.refresh_names();
            self.names_at = round.now;
        }
        if let Err(error) = probes.read(self.object, round.batch) {
            round.lost(format!(
                "the maps of {} cannot be read: {error}",
                self.object.as_str()
            ));
        }
        probes.read_cost(self.object, round.batch);
    }
}
