//! Every series of the store as an item key.
//!
//! In this order: the text of the key is the text of a series (`system.disk.utilization[/]`); the
//! parameters are all of a series' tags (`system.disk.io[device=vda,direction=read]`); some of them,
//! if that leaves one series.

use std::fmt::Write as _;

use super::table::{Items, Outcome};
use crate::model::{Glob, Rate, Series};
use crate::serve::zabbix::answer::{NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;
use crate::store::Reading;

/// A key that is in no table.
pub(super) fn any(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    if verbatim(items, key.raw, out) {
        return Ok(());
    }
    let tags = tags(key)
        .filter(|tags| !tags.is_empty())
        .ok_or(NotSupported::UNKNOWN_KEY)?;
    let series = Series::new(key.name, &tags).map_err(|_| NotSupported::UNKNOWN_KEY)?;
    match items.store.get(series.as_str()) {
        Some(reading) => {
            push_value(&reading, out);
            Ok(())
        }
        None => Err(Refusal::Slow),
    }
}

/// Looks for the one series that has the given tags among others; walks over the whole store.
pub(super) fn search(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let tags = tags(key).ok_or(NotSupported::UNKNOWN_KEY)?;
    let mut found = items.store.scan(&Glob::new(&format!("{}{{*", key.name)));
    found.retain(|reading| {
        tags.iter()
            .all(|(name, value)| reading.series.tag(name).as_deref() == Some(*value))
    });
    match found.as_slice() {
        [] => Err(NotSupported::UNKNOWN_KEY),
        [one] => {
            push_value(one, out);
            Ok(())
        }
        [first, ..] => Err(NotSupported(
            format!(
                "{} series have these tags, {} among them; add tags to choose one.",
                found.len(),
                first.series
            )
            .into(),
        )),
    }
}

/// A text that is a series as it stands, or as people may write one.
pub(super) fn verbatim(items: &Items, text: &str, out: &mut String) -> bool {
    let reading = items.store.get(text).or_else(|| {
        // Tags in another order or without quotes; only worth a try where there are any.
        let series = text.contains('{').then(|| Series::parse(text).ok())??;
        items.store.get(series.as_str())
    });
    reading
        .inspect(|reading| push_value(reading, out))
        .is_some()
}

/// `moonward.get[SERIES]`: what a key of another meaning hides, too.
pub(super) fn get(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    if verbatim(items, wanted(key), out) {
        return Ok(());
    }
    Err(NotSupported::because("No such series, or its value has expired.").into())
}

/// `moonward.rate[SERIES]`: the change per second of a counter over its last interval.
pub(super) fn rate(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let series = Series::parse(wanted(key)).ok();
    let reading = series.and_then(|series| items.store.get(series.as_str()));
    let reading = reading.ok_or(NotSupported::because(
        "No such series, or its value has expired.",
    ))?;
    match reading.rate {
        Rate::PerSecond(rate) => {
            write!(out, "{rate}").unwrap_or_default();
            Ok(())
        }
        Rate::Unknown => Err(NotSupported::because("No rate is known yet.").into()),
    }
}

/// The one parameter; or everything in the brackets, for a series whose comma nobody quoted.
fn wanted<'a>(key: &'a ItemKey<'_>) -> &'a str {
    if key.parameters.len() <= 1 {
        return key.or(0, "");
    }
    let inside = key
        .raw
        .strip_prefix(key.name)
        .and_then(|rest| rest.strip_prefix('['));
    inside
        .and_then(|inside| inside.strip_suffix(']'))
        .unwrap_or_default()
}

/// The parameters as tags, if all of them read `tag=value`.
fn tags<'a>(key: &'a ItemKey<'_>) -> Option<Vec<(&'a str, &'a str)>> {
    key.parameters
        .iter()
        .map(|parameter| parameter.split_once('='))
        .collect()
}

fn push_value(reading: &Reading, out: &mut String) {
    write!(out, "{}", reading.value).unwrap_or_default();
}
