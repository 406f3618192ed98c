//! `proc.num`.

use std::collections::HashMap;

use super::table::{Items, Outcome, invalid};
use super::text;
use crate::serve::zabbix::answer::{NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;

/// A compiled pattern may take this much memory; the pattern comes from the network.
const PATTERN_BYTES: usize = 1 << 20;

/// The number of all processes from the store; with any filter, a worker walks through /proc.
pub(super) fn total(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    if key.parameters.len() > 4 {
        return Err(NotSupported::because("Too many parameters.").into());
    }
    State::parse(key.or(2, "all")).ok_or(invalid(3))?;
    let filtered = (0..4)
        .filter_map(|index| key.given(index))
        .any(|text| text != "all");
    let catalogue = items.catalogue();
    if filtered || catalogue.process_counts.is_empty() {
        return Err(Refusal::Slow);
    }
    let counts = catalogue
        .process_counts
        .iter()
        .map(|series| items.whole(series));
    text::whole(
        out,
        counts
            .collect::<Option<Vec<_>>>()
            .ok_or(Refusal::Slow)?
            .iter()
            .sum(),
    );
    Ok(())
}

/// What Zabbix calls the states of proc(5).
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    All,
    Letters(&'static str),
}

impl State {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "all" => Self::All,
            "run" => Self::Letters("R"),
            "sleep" => Self::Letters("S"),
            "zomb" => Self::Letters("Z"),
            "disk" => Self::Letters("D"),
            "trace" => Self::Letters("T"),
            _ => return None,
        })
    }
}

struct Filter<'a> {
    name: Option<&'a str>,
    user: Option<u32>,
    state: State,
    command_line: Option<regex::Regex>,
}

/// Counts the processes that fit every filter. One that ends meanwhile is not counted.
pub(super) fn count(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let state = State::parse(key.or(2, "all"));
    let state = state.ok_or(NotSupported::because("Invalid third parameter."))?;
    let user = match key.given(1) {
        None => None,
        Some(name) => match user_id(items, name) {
            Some(id) => Some(id),
            // Nobody of that name: no processes either.
            None => return none(out),
        },
    };
    let command_line = match key.given(3) {
        None => None,
        Some(pattern) => {
            match regex::RegexBuilder::new(pattern)
                .size_limit(PATTERN_BYTES)
                .build()
            {
                Ok(pattern) => Some(pattern),
                Err(_) => return none(out),
            }
        }
    };
    let filter = Filter {
        name: key.given(0),
        user,
        state,
        command_line,
    };
    let is_process = |name: &&String| name.bytes().all(|byte| byte.is_ascii_digit());
    let names = items.root.names("/proc");
    let fits = |pid: &&String| filter.fits(items, pid).unwrap_or(false);
    text::whole(
        out,
        names.iter().filter(is_process).filter(fits).count() as u64,
    );
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the answer of its callers")]
fn none(out: &mut String) -> Result<(), NotSupported> {
    text::whole(out, 0);
    Ok(())
}

impl Filter<'_> {
    /// `None` when the process is gone.
    fn fits(&self, items: &Items, pid: &str) -> Option<bool> {
        let status = items.root.read(&format!("/proc/{pid}/status")).ok()?;
        let fields: HashMap<&str, &str> = status
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
            .collect();
        if let State::Letters(letters) = self.state
            && !fields
                .get("State")?
                .starts_with(|letter| letters.contains(letter))
        {
            return Some(false);
        }
        if let Some(user) = self.user {
            // Real, effective, saved, file system: the effective one owns /proc/PID.
            let effective = fields.get("Uid")?.split_whitespace().nth(1)?;
            if effective.parse() != Ok(user) {
                return Some(false);
            }
        }
        if self.name.is_none() && self.command_line.is_none() {
            return Some(true);
        }
        let arguments = items.root.read(&format!("/proc/{pid}/cmdline")).ok()?;
        if let Some(name) = self.name
            && *fields.get("Name")? != name
        {
            // The kernel's name is cut at 15 bytes and may be changed; the program's own is not.
            let program = arguments.split('\0').next().unwrap_or_default();
            if program.rsplit('/').next() != Some(name) {
                return Some(false);
            }
        }
        let line = arguments.trim_end_matches('\0').replace('\0', " ");
        Some(
            self.command_line
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(&line)),
        )
    }
}

/// The user's number from `/etc/passwd`; directory services are not asked.
fn user_id(items: &Items, name: &str) -> Option<u32> {
    let users = items.root.read("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}
