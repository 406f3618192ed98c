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
    ]
}
