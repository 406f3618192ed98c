//! Library functions that work long end the turn when it is over: there is no part of a result.

use std::time::Duration;

use super::*;
use crate::lua::ScriptError;
use crate::lua::testing::{LIMITS, Stage};
use crate::model::{Batch, Unit};

const LIMIT: Duration = Duration::from_millis(10);

/// How many series there are: going through them takes many times the limit.
const SERIES: usize = 20_000;

/// What `got` is called with takes far longer than the limit in one call.
const CALLS: [&str; 14] = [
    "got(strings.split, ('a,'):rep(2e6), ',')",
    "got(regexp.compile('.*[^A-Z]|[A-Z]').find_all, regexp.compile('.*[^A-Z]|[A-Z]'), ('A'):rep(20000))",
    "got(regexp.compile('a').find_all, regexp.compile('a'), ('a'):rep(3e6))",
    "got(store.find, '*')",
    "got(probe.list)",
    "got(probe.counters, '*')",
    "got(string.gsub, ('a'):rep(3e6), 'a', 'b')",
    "got(string.find, ('a'):rep(5000), '.-.-.-.-x')",
    "got(string.match, ('a'):rep(5000), '.-.-.-.-x')",
    "got(string.gmatch(('a'):rep(5000), '.-.-.-.-x'))",
    "got(string.gsub, ('a'):rep(5000), '.-.-.-.-x', {})",
    "got(function() local file = tac.open(LONG) local line = file:line() return line end)",
    "got(coroutine.wrap(function() local parts = strings.split(('a,'):rep(2e6), ',') return parts end))",
    "got(function() local ok, parts = xpcall(strings.split, print, ('a,'):rep(2e6), ',') return parts end)",
];

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.limits = Limits {
        memory: 256 * 1_048_576,
        time: Some(LIMIT),
        ..LIMITS
    };
    let mut batch = Batch::new();
    for number in 0..SERIES {
        batch.counter(&format!("probe.number.{number}"), &[], Unit::NONE, 1_u64);
    }
    stage.store.put("probe.numbers", &batch, None);
    let long = std::fs::File::create(stage.directory.path().join("long")).unwrap();
    // Not a line feed in it, nor a byte on the disk.
    long.set_len(1 << 32).unwrap();
    stage
}

/// A script that catches the error of a call and goes on. The call is made on line 3, or in a
/// function on line 6.
fn script(stage: &Stage, call: &str) -> String {
    let long = stage.directory.path().join("long");
    format!(
        "local LONG = '{}'
         local function got(f, ...)
           local ok, value = pcall(f, ...)
           metrics.set('went.on', 1)
         end
         {call}
         metrics.set('went.on', 2)",
        long.display()
    )
}

#[track_caller]
fn is_ended(stage: &Stage, result: Result<(), ScriptError>, line: u32, what: &str) {
    let error = result.expect_err(what);
    assert_eq!(error.fault, Fault::Time(LIMIT), "{what}: {error}");
    assert_eq!(error.line, Some(line), "{what}");
    let text = error.to_string();
    assert!(
        text.ends_with("it ran longer than 0.01 s without a pause"),
        "{text}"
    );
    let went_on = stage.store.with("went.on", |_| ());
    assert_eq!(went_on, None, "{what}");
}

#[test]
fn a_call_over_its_limit_is_reported_and_gives_no_value() {
    let stage = stage();
    for call in CALLS {
        let result = stage.run(script(&stage, call));
        let line = if call.contains("function()") { 6 } else { 3 };
        is_ended(&stage, result, line, call);
    }
}

#[test]
fn a_run_of_plugin_every_that_is_cut_fails_the_plugin() {
    let stage = stage();
    let result = stage.run(
        "local parts = ('a,'):rep(1e6)
         plugin.every(1, function()
           metrics.set('went.on', #strings.split(parts, ','))
         end)",
    );
    is_ended(&stage, result, 3, "plugin.every");
}

#[test]
fn a_script_that_is_to_end_does_so_inside_a_call() {
    let stage = Stage::new();
    let run = stage.start(
        "script.lua",
        "metrics.set('begun', 1)
         local expression = regexp.compile('.*[^A-Z]|[A-Z]')
         local ok, all = pcall(expression.find_all, expression, ('A'):rep(200000))
         metrics.set('went.on', 1)",
    );
    while stage.store.with("begun", |_| ()).is_none() {
        std::thread::yield_now();
    }
    run.stop();
    let error = stage.wait(&run).unwrap_err();
    assert_eq!(error.fault, Fault::Stopped);
    assert_eq!(stage.store.with("went.on", |_| ()), None);
}

#[test]
fn what_is_done_in_time_is_whole() {
    let mut stage = stage();
    stage.limits.time = LIMITS.time;
    stage.pass(format!(
        "assert(#strings.split(('a,'):rep(1e5), ',') == 1e5 + 1)
         assert(#store.find('probe.number.*') == {SERIES} and #probe.list() == {SERIES})
         -- Numbers as the kernel shows them for many processors.
         local line = 'cpu 1234 56 7890 123456789 0 12 34 0 0 0\\n'
         local numbers = regexp.compile('[0-9]+')
         assert(#numbers:find_all(line:rep(5000)) == 50000)
         assert(#numbers:find_all(line:rep(5000), 3) == 3)"
    ));
}
