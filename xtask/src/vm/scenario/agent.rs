//! Moonward in the machine, as the scenarios see it: installed, asked, judged.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::Guest;
use super::drop_in;
use crate::vm::payload;

/// What `moonward status --json` shows, as far as the scenarios look at it.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    /// Main process.
    pub(crate) pid: u32,
    /// Every probe, collector, door and output.
    pub(crate) parts: Vec<Part>,
}

/// One part of the agent.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Part {
    /// `probe`, `collector`, `door`, `output`, `store`.
    pub(crate) room: String,
    /// Its name in that room.
    pub(crate) name: String,
    /// `active`, `off`, `unsupported`, `degraded`, `failed`.
    pub(crate) verdict: String,
    /// Why, where that needs an explanation.
    pub(crate) reason: Option<String>,
    /// How often it has run.
    pub(crate) runs: u64,
}

impl Status {
    /// The parts of one room.
    pub(crate) fn room(&self, room: &str) -> Vec<&Part> {
        self.parts.iter().filter(|part| part.room == room).collect()
    }

    /// All parts that do not work, with their reasons, for messages.
    pub(crate) fn complaints(&self) -> String {
        let mut lines = Vec::new();
        for part in &self.parts {
            if !["active", "off"].contains(&part.verdict.as_str()) {
                let reason = part.reason.as_deref().unwrap_or("no reason given");
                lines.push(format!(
                    "{} {}: {}: {reason}",
                    part.room, part.name, part.verdict
                ));
            }
        }
        lines.join("; ")
    }
}

/// One line of `moonward metrics --json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Metric {
    /// Name of the series.
    pub(crate) name: String,
    /// Its tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// `gauge`, `counter`, `histogram`, `text`.
    pub(crate) kind: String,
    /// A number, or the parts of a histogram.
    pub(crate) value: Value,
}

impl Metric {
    /// The series, as one writes it.
    pub(crate) fn key(&self) -> String {
        let tags: Vec<String> = self
            .tags
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        format!("{}{{{}}}", self.name, tags.join(","))
    }

    /// What only grows: the number of a counter, the count of a histogram.
    pub(crate) fn total(&self) -> Option<f64> {
        match self.kind.as_str() {
            "counter" => self.value.as_f64(),
            "histogram" => self.value.get("count")?.as_f64(),
            _ => None,
        }
    }
}

/// Brings the machine to where every scenario begins: installed, with its own unit, answering.
pub(crate) fn make_ready(guest: &mut Guest) -> Result<()> {
    if guest.run("dpkg -s moonward")?.status != 0 {
        guest
            .must(&format!("dpkg -i {}", payload::PACKAGE))
            .context("installing the package")?;
    }
    drop_in::clear(guest)?;
    if guest
        .run("systemctl is-active --quiet moonward.service")?
        .status
        != 0
    {
        guest.run("systemctl reset-failed moonward.service")?;
        guest
            .must("systemctl start moonward.service")
            .context("starting the service")?;
    }
    answers(guest)
}

/// Waits until the agent answers on its own socket.
pub(crate) fn answers(guest: &mut Guest) -> Result<()> {
    guest.until(60, "moonward ping")
}

/// Asks for the status.
pub(crate) fn status(guest: &mut Guest) -> Result<Status> {
    let text = guest.must("moonward status --json")?;
    serde_json::from_str(&text).with_context(|| format!("status is not understood: {text}"))
}

/// Asks for all series that match.
pub(crate) fn metrics(guest: &mut Guest, glob: &str) -> Result<Vec<Metric>> {
    let text = guest.must(&format!("moonward metrics --json '{glob}'"))?;
    serde_json::from_str(&text).with_context(|| format!("metrics are not understood: {text}"))
}

/// The sum of a counter over all series of that name that carry these tags.
///
/// # Errors
/// When there is no such series: a comparison with nothing would always agree.
pub(crate) fn sum(guest: &mut Guest, name: &str, tags: &[(&str, &str)]) -> Result<f64> {
    let all = metrics(guest, &format!("{name}*"))?;
    let matching: Vec<f64> = all
        .iter()
        .filter(|metric| metric.name == name)
        .filter(|metric| {
            tags.iter()
                .all(|(tag, value)| metric.tags.get(*tag).is_some_and(|has| has == value))
        })
        .filter_map(Metric::total)
        .collect();
    if matching.is_empty() {
        let known: Vec<String> = all.iter().map(Metric::key).collect();
        bail!("no series {name} with {tags:?}; there is {known:?}");
    }
    Ok(matching.iter().sum())
}

/// Waits until a part has read everything anew: two rounds, since one may have been under way.
pub(crate) fn next_reading(guest: &mut Guest, room: &str, name: &str) -> Result<()> {
    let runs = |guest: &mut Guest| -> Result<u64> {
        let status = status(guest)?;
        let part = status
            .parts
            .iter()
            .find(|part| part.room == room && part.name == name);
        Ok(part
            .with_context(|| format!("no {room} {name} in the status"))?
            .runs)
    };
    let before = runs(guest)?;
    for _ in 0..120 {
        if runs(guest)? >= before + 2 {
            return Ok(());
        }
        guest.run("sleep 0.5")?;
    }
    bail!("{room} {name} does not run")
}

/// The service is up although a part of it is not, and the status says which and why.
pub(crate) fn up_without(
    guest: &mut Guest,
    concerns: impl Fn(&Part) -> bool,
    words: &[&str],
) -> Result<()> {
    let active = guest.must("systemctl show -P ActiveState -P SubState moonward.service")?;
    ensure!(
        active.split_whitespace().eq(["active", "running"]),
        "the service is {active}"
    );
    answers(guest)?;
    let status = status(guest)?;
    let concerned: Vec<&Part> = status.parts.iter().filter(|part| concerns(part)).collect();
    ensure!(
        !concerned.is_empty(),
        "the status does not know that part at all"
    );
    for part in &concerned {
        ensure!(
            ["failed", "unsupported", "degraded"].contains(&part.verdict.as_str()),
            "{} {} claims to be {}",
            part.room,
            part.name,
            part.verdict
        );
        let reason = part.reason.clone().unwrap_or_default();
        ensure!(
            words
                .iter()
                .any(|word| reason.to_lowercase().contains(&word.to_lowercase())),
            "the reason of {} {} names none of {words:?}: {reason:?}",
            part.room,
            part.name
        );
    }
    let working = status
        .room("collector")
        .iter()
        .filter(|part| part.verdict == "active")
        .count();
    ensure!(
        working > 3,
        "only {working} collectors work: {}",
        status.complaints()
    );
    Ok(())
}
