//! Every collector there is: the one table to add a line to.

use super::Collector;
use super::filesystem::{Filesystem, Ignored};

/// Makes all collectors, in the order in which they run. `process_io` says whether the IO of all
/// processes is to be read from their files, because no probe counts it.
pub fn all(ignored: Ignored, process_io: bool) -> Vec<Box<dyn Collector>> {
    let process = match process_io {
        true => super::process::Process::new(),
        false => super::process::Process::without_io(),
    };
    vec![
        Box::new(super::cpu::Cpu::default()),
        Box::new(super::disk::Disk::new()),
        Box::new(Filesystem::new(ignored)),
        Box::new(super::limits::Limits),
        Box::new(super::load::Load),
        Box::new(super::memory::Memory::default()),
        Box::new(super::network::Network::new()),
        Box::new(super::numa::Numa::default()),
        Box::new(super::pressure::Pressure::default()),
        Box::new(process),
        Box::new(super::sockets::Sockets::new()),
        Box::new(super::temperature::Temperature::default()),
        Box::new(super::uptime::Uptime),
        Box::new(super::users::Users::default()),
        Box::new(super::vmstat::VmStat::default()),
    ]
}
