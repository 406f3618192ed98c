//! A reload: the new configuration is read and judged first; a bad one changes nothing.

use super::service::Service;
use super::{doors, plan};
use crate::config::{Difference, difference};
use crate::telemetry::log::chain;

/// Reads the configuration again and takes over what can change while running. On mistakes the old
/// configuration stays in force, and they come back as text.
pub(super) fn reload(service: &mut Service) -> Result<(), String> {
    service.notifier.reloading();
    let outcome = take_over(service);
    let headline = match &outcome {
        Ok(needs_restart) if needs_restart.is_empty() => service.headline(),
        Ok(needs_restart) => {
            format!(
                "{}; restart for {}",
                service.headline(),
                needs_restart.join(", ")
            )
        }
        Err(_) => format!(
            "{}; the new configuration is bad, the old one holds",
            service.headline()
        ),
    };
    service.notifier.ready(&headline);
    outcome.map(|_| ())
}

fn take_over(service: &mut Service) -> Result<Vec<String>, String> {
    let new = match service.options.load(&service.environment) {
        Ok(new) => new,
        Err(problems) => {
            let mistakes = problems.to_string();
            tracing::error!(mistakes, "the new configuration is bad; the old one holds");
            return Err(mistakes);
        }
    };
    let changes = difference(&service.config, &new);
    service.config = new;
    if changes.touches("agent") {
        service.log.set_level(service.config.agent.log_level.into());
    }
    if changes.touches("zabbix") {
        for door in service.zabbix.doors.iter() {
            door.set_allowed(doors::allowed(&service.config.zabbix));
        }
    }
    if changes.touches("store") {
        service
            .snapshots
            .send_replace(plan::snapshots(&service.config.store));
    }
    if changes.touches("collect") {
        replan(service, &changes);
    }
    let needs_restart = changes.needs_restart();
    tracing::info!(
        changes = changes.changes.len(),
        needs_restart = needs_restart.join(", "),
        "reloaded"
    );
    Ok(needs_restart)
}

/// New intervals and switches go to the running schedule; a collector with other options is made
/// anew, and with it the schedule.
fn replan(service: &mut Service, changes: &Difference) {
    if changes.touches("collect.unit") || changes.touches("collect") {
        service
            .units
            .send_replace(plan::unit_watch(&service.config.collect));
    }
    if changes.touches("collect.filesystem") {
        service.restart_schedule();
        return;
    }
    let Some(schedule) = &service.schedule else {
        return;
    };
    if let Err(error) = schedule.replan(plan::timetable(&service.config.collect)) {
        tracing::error!(error = %chain(&error), "the collectors keep their old intervals");
    }
}
