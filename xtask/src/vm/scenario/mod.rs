//! What is tried in a machine, one file each, in the order in which they run.
//!
//! A new one is a file of the same shape as its neighbours and one line in [`ALL`].
//! [`agent`] is Moonward as they see it, [`drop_in`] a change to its unit for a while, and
//! [`series`] the names of what they compare.

mod agent;
mod counters_survive;
mod degrade_missing_btf;
mod degrade_missing_capability;
mod degrade_read_only_state;
mod disk_truth;
mod drop_in;
mod exposure;
mod install_and_start;
mod machine;
mod plugins;
mod probes_attached;
mod prometheus;
mod runner;
mod sandbox_truth;
mod series;
mod stock_plugins;
mod tcp_truth;
mod zabbix_get;
mod zabbix_user_parameters;
mod zalua_clients;

use anyhow::Result;

use super::guest::Guest;

pub(crate) use agent::make_ready;

/// Something that is tried in a machine.
pub(crate) struct Scenario {
    /// Its name, and that of its file.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) what: &'static str,
    /// Whether Moonward has to be installed and running when it begins.
    pub(crate) needs_package: bool,
    /// Tries it.
    pub(crate) run: fn(&mut Guest) -> Result<()>,
}

/// All of them. They share one machine; one that fails is followed by a fresh one.
pub(crate) const ALL: &[&Scenario] = &[
    &machine::SCENARIO,
    &install_and_start::SCENARIO,
    &probes_attached::SCENARIO,
    &exposure::SCENARIO,
    &sandbox_truth::SCENARIO,
    &disk_truth::SCENARIO,
    &tcp_truth::SCENARIO,
    &counters_survive::SCENARIO,
    &zabbix_get::SCENARIO,
    &zabbix_user_parameters::SCENARIO,
    &plugins::SCENARIO,
    &runner::SCENARIO,
    &prometheus::SCENARIO,
    &stock_plugins::SCENARIO,
    &zalua_clients::SCENARIO,
    &degrade_missing_btf::SCENARIO,
    &degrade_missing_capability::SCENARIO,
    &degrade_read_only_state::SCENARIO,
];
