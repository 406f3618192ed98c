//! Every collector there is: the one table to add a line to.

use super::Collector;

/// Makes all collectors, in the order in which they run.
pub fn all() -> Vec<Box<dyn Collector>> {
    vec![
        Box::new(super::disk::Disk::new()),
        Box::new(super::filesystem::Filesystem::new()),
        Box::new(super::network::Network::new()),
        Box::new(super::process::Process::new()),
        Box::new(super::sockets::Sockets::new()),
        Box::new(super::cpu::Cpu::default()),
        Box::new(super::limits::Limits),
        Box::new(super::load::Load),
        Box::new(super::memory::Memory::default()),
        Box::new(super::numa::Numa::default()),
        Box::new(super::pressure::Pressure::default()),
        Box::new(super::temperature::Temperature::default()),
        Box::new(super::uptime::Uptime),
        Box::new(super::users::Users::default()),
        Box::new(super::vmstat::VmStat::default()),
    ]
}
