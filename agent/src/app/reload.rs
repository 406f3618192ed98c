//! A reload: the new configuration is read and judged first; a bad one changes nothing.

use super::service::Service;
use super::{doors, http, plan};
use crate::config::{CollectConfig, Config, Problems, difference};
use crate::serve::control::Reloaded;
use crate::telemetry::log::chain;

/// How many mistakes are logged; `moonward check` and `moonward reload` print all of them.
const LOGGED_MAX: usize = 20;

/// Whose remark it is behind the status that systemd shows.
const REMARK: &str = "configuration";

/// Reads the configuration again and takes over what can change while running. On mistakes the old
/// configuration stays in force.
pub(super) fn reload(service: &mut Service) -> Reloaded {
    service.notifier.reloading();
    let outcome = match service.options.load(&service.environment) {
        Ok(new) => Reloaded::Taken(take_over(service, new)),
        Err(problems) => {
            log(&problems);
            Reloaded::Bad(problems.to_string())
        }
    };
    // Behind every status from now on, until a reload has nothing to remark.
    service.notifier.remark(
        REMARK,
        &match &outcome {
            Reloaded::Taken(needs_restart) if needs_restart.is_empty() => String::new(),
            Reloaded::Taken(needs_restart) => format!("restart for {}", needs_restart.join(", ")),
            Reloaded::Bad(_) => "the new configuration is bad, the old one holds".to_owned(),
        },
    );
    service.notifier.ready(&service.headline());
    outcome
}

fn log(problems: &Problems) {
    tracing::error!(
        mistakes = problems.count(),
        "the new configuration is bad, the old one holds; `moonward check` lists every mistake"
    );
    for problem in problems.list().iter().take(LOGGED_MAX) {
        tracing::error!("{problem}");
    }
}

/// Makes `new` the configuration; gives the keys whose new values a restart has to bring.
fn take_over(service: &mut Service, new: Config) -> Vec<String> {
    let changes = difference(&service.config, &new);
    // Not against the configuration of the last reload: a restart stays needed until it is made,
    // or until the old value is back.
    let needs_restart = difference(&service.started_with, &new).needs_restart();
    let old = std::mem::replace(&mut service.config, new);
    let config = &service.config;
    if changes.touches("agent") {
        service.log.set_level(config.agent.log_level.into());
    }
    if changes.touches("zabbix") {
        for door in service.zabbix.doors.iter() {
            door.set_allowed(doors::allowed(&config.zabbix));
        }
    }
    // Also when no key has changed: the files may have.
    http::renew(&service.http, &config.http, &service.board);
    if changes.touches("store") {
        service
            .snapshots
            .send_replace(plan::snapshots(&config.store));
        service.state.show(&config.store);
    }
    if changes.touches("plugin")
        && let Some(scripts) = &service.scripts
    {
        scripts.follow(&service.config);
    }
    if changes.touches("collect") {
        replan(service, &old.collect);
    }
    for change in &changes.changes {
        tracing::info!(
            key = format!("{}.{}", change.section, change.key),
            old = change.old,
            new = change.new,
            takes_restart = change.restart,
            "changed"
        );
    }
    tracing::info!(
        changes = changes.changes.len(),
        needs_restart = needs_restart.join(", "),
        "reloaded"
    );
    needs_restart
}

/// New intervals and switches go to the running schedule; a collector with other options is made
/// anew, and with it the schedule.
fn replan(service: &mut Service, old: &CollectConfig) {
    let config = &service.config.collect;
    service
        .zabbix_looks
        .send_replace(plan::zabbix_looks(config));
    if old.collector("unit") != config.collector("unit") || old.unit != config.unit {
        service.units.send_replace(plan::unit_watch(config));
    }
    if old.filesystem != config.filesystem {
        service.restart_schedule();
        return;
    }
    let Some(schedule) = &service.schedule else {
        return;
    };
    if let Err(error) = schedule.replan(plan::timetable(config)) {
        tracing::error!(error = %chain(&error), "the collectors keep their old intervals");
    }
}
