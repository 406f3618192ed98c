//! Carries scenarios out: one machine for as many as possible, a fresh one after a breakdown.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::boot::{Life, Machine};
use super::guest::Guest;
use super::image::{self, Image};
use super::payload;
use super::scenario::{self, Scenario};
use crate::stage::Record;
use crate::stopwatch::Stopwatch;

/// What the person asked for beyond the names.
pub(crate) struct Wish<'a> {
    /// The package to install; without one only scenarios that need none can pass.
    pub(crate) package: Option<&'a Path>,
    /// Leave the last machine running.
    pub(crate) keep: bool,
}

/// All scenarios with one package.
pub(crate) fn all(record: &mut Record, package: &Path) {
    let wish = Wish {
        package: Some(package),
        keep: false,
    };
    carry_out(record, scenario::ALL, &wish);
}

/// Carries out scenarios in their order and notes how each ended.
pub(crate) fn carry_out(record: &mut Record, scenarios: &[&Scenario], wish: &Wish<'_>) {
    let Some((image, payload)) = record.stage("vm: image", || {
        Ok((image::provide()?, payload::build(wish.package)?))
    }) else {
        for scenario in scenarios {
            record.skipped(&stage_name(scenario), "there is no machine");
        }
        return;
    };
    let mut current: Option<Guest> = None;
    let mut boots = 0;
    let life = if wish.keep { Life::Its } else { Life::Ours };
    for scenario in scenarios {
        let mut broken = false;
        record.stage(&stage_name(scenario), || {
            if current.is_none() {
                boots += 1;
                current = Some(boot(boots, &image, &payload, life)?);
            }
            let guest = current.as_mut().context("no machine")?;
            attempt(guest, scenario).inspect_err(|_| {
                eprintln!("{}", guest.last_words());
                broken = true;
            })
        });
        // Whatever a failed scenario left behind must not fail its successors.
        if broken && !wish.keep {
            current = None;
        } else if broken {
            break;
        }
    }
    if wish.keep
        && let Some(guest) = current
    {
        println!("{}", guest.keep());
    }
}

fn stage_name(scenario: &Scenario) -> String {
    format!("vm: {}: {}", scenario.name, scenario.what)
}

fn boot(number: u32, image: &Image, payload: &Path, life: Life) -> Result<Guest> {
    let watch = Stopwatch::start();
    let machine = Machine::start(&format!("machine-{number}"), image, payload, life)?;
    let guest = Guest::wait_for(machine)?;
    println!("machine up in {watch}");
    Ok(guest)
}

fn attempt(guest: &mut Guest, scenario: &Scenario) -> Result<()> {
    if scenario.needs_package {
        scenario::make_ready(guest).context("before the scenario")?;
    }
    (scenario.run)(guest)
}
