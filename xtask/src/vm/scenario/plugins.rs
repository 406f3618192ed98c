//! Plugins in the service's own unit: they come, change and go while it runs, hostile ones harm
//! nobody, and the sandbox that holds the agent holds them.

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario, agent};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "plugins",
    what: "an operator's plugins start, change and stop by their files; hostile ones are contained",
    needs_package: true,
    run,
};

/// Where an administrator puts plugins.
pub(super) const DIRECTORY: &str = "/etc/moonward/plugins";

/// How long a change may take to be seen, in seconds, on a machine that is emulated.
const PATIENCE: u64 = 60;

/// How long one answer of the agent may take beside hostile plugins, in seconds.
const ANSWER: u64 = 10;

/// Runs ten times a second and counts.
const PEACEFUL: &str = "\
local runs = 0
plugin.every(0.1, function()
  runs = runs + 1
  metrics.set('workshop.runs', runs)
end)
";

/// Each with words of the reason that its page must show.
const HOSTILE: [(&str, &str, &str); 3] = [
    ("workshop-loop", "while true do end", "without a pause"),
    (
        "workshop-memory",
        // In few steps, so that the time of a turn is not over first.
        "local t = {} while true do t[#t + 1] = ('x'):rep(4e6) .. #t end",
        "not enough memory",
    ),
    (
        "workshop-pattern",
        "string.find(('a'):rep(200), ('a*'):rep(12) .. 'b')",
        "workshop-pattern.lua:1: ",
    ),
];

/// Tries the ways out and puts what came of each.
const ESCAPE: &str = "\
local function try(name, work, ...)
  local done, result, message = pcall(work, ...)
  metrics.set('workshop.escape.' .. name,
    done and result and 'open' or 'closed: ' .. tostring(done and message or result))
end
try('memory', io.open, '/proc/self/mem', 'rb')
try('read', ioutil.readfile, '/proc/self/environ')
try('descriptor', io.open, '/proc/self/fd/1', 'wb')
try('write', io.open, '/etc/moonward/plugins/another.lua', 'w')
try('state', io.open, '/var/lib/moonward/store.snapshot', 'r+b')
try('popen', io.popen, 'id')
try('execute', os.execute, 'id')
try('library', package.loadlib, '/usr/lib/x86_64-linux-gnu/libc.so.6', '*')
metrics.set('workshop.escape.done', 1)
while true do time.sleep(60) end
";

fn run(guest: &mut Guest) -> Result<()> {
    let before = agent::status(guest)?.pid;
    let result = come_change_and_go(guest)
        .context("an operator's plugin")
        .and_then(|()| contained(guest).context("hostile plugins"))
        .and_then(|()| closed(guest).context("ways out"))
        .and_then(|()| told(guest).context("a failing plugin"));
    guest.must(&format!("rm -f {DIRECTORY}/workshop*"))?;
    result?;
    let after = agent::status(guest)?.pid;
    ensure!(before == after, "the agent ended: {before} became {after}");
    Ok(())
}

/// Puts a plugin where it belongs, whole at once, as editors do.
pub(super) fn save(guest: &mut Guest, name: &str, source: &str) -> Result<()> {
    let new = "/etc/moonward/workshop.new";
    guest.push(new, 0o644, source.as_bytes())?;
    guest.must(&format!("mv {new} {DIRECTORY}/{name}.lua"))?;
    Ok(())
}

/// Waits until a value is there and as it should be.
pub(super) fn becomes(guest: &mut Guest, key: &str, value: &str) -> Result<()> {
    guest.until(
        PATIENCE,
        &format!("v=$(moonward get -- '{key}') && echo \"$v\" && [ \"$v\" = '{value}' ]"),
    )
}

fn come_change_and_go(guest: &mut Guest) -> Result<()> {
    let source = |value: u32| {
        format!("metrics.set('workshop.value', {value}) while true do time.sleep(60) end")
    };
    save(guest, "workshop", &source(1))?;
    becomes(guest, "workshop.value", "1")?;
    save(guest, "workshop", &source(2))?;
    becomes(guest, "workshop.value", "2")?;
    guest.must(&format!("rm {DIRECTORY}/workshop.lua"))?;
    guest.until(
        PATIENCE,
        "! moonward get -- workshop.value && ! moonward plugins | grep '^workshop[^-]'",
    )
}

/// While hostile plugins run, everybody is answered and the others keep their pace.
fn contained(guest: &mut Guest) -> Result<()> {
    save(guest, "workshop-peace", PEACEFUL)?;
    guest.until(PATIENCE, "moonward get -- workshop.runs")?;
    for (name, source, _) in HOSTILE {
        save(guest, name, source)?;
    }
    for (name, _, words) in HOSTILE {
        // The loop asks all the while, and each answer has to come in its time.
        guest
            .must(&format!(
                "end=$((SECONDS + {PATIENCE})); \
                 until moonward plugins | grep -P '^{name}\\tfailed\\t.*{words}'; do \
                 timeout {ANSWER} moonward get -- workshop.runs || exit 1; \
                 [ $SECONDS -lt $end ] || {{ moonward plugins; exit 2; }}; done"
            ))
            .with_context(|| format!("{name} is not contained"))?;
    }
    let runs: u64 = guest.must("moonward get -- workshop.runs")?.parse()?;
    guest.until(
        PATIENCE,
        &format!("[ $(moonward get -- workshop.runs) -gt {} ]", runs + 10),
    )?;
    let events = guest.must(
        "cat /sys/fs/cgroup/system.slice/moonward.service/memory.events | tr '\\n' ' '; \
         echo; cat /sys/fs/cgroup/system.slice/moonward.service/memory.peak 2>/dev/null || true",
    )?;
    ensure!(
        events.contains("oom_kill 0"),
        "the kernel ended something for its memory: {events}"
    );
    println!("beside hostile plugins, memory of the unit: {events}");
    guest.must(&format!("rm {DIRECTORY}/workshop-*"))?;
    Ok(())
}

/// A plugin gets nowhere where the agent's own rights would not let it, nor into the agent itself.
fn closed(guest: &mut Guest) -> Result<()> {
    save(guest, "workshop-escape", ESCAPE)?;
    guest.until(PATIENCE, "moonward get -- workshop.escape.done")?;
    for way in [
        "memory",
        "read",
        "descriptor",
        "write",
        "state",
        "popen",
        "execute",
        "library",
    ] {
        let came = guest.must(&format!("moonward get -- workshop.escape.{way}"))?;
        ensure!(came.starts_with("closed: "), "{way}: {came}");
        println!("{way}: {came}");
    }
    Ok(())
}

/// `moonward plugins` and the journal name script and line.
fn told(guest: &mut Guest) -> Result<()> {
    save(guest, "workshop-syntax", "local a\nlocal b = = 2\n")?;
    save(guest, "workshop-error", "local a\n\nerror('boom')\n")?;
    for (name, line, words) in [
        ("workshop-syntax", 2, "unexpected symbol"),
        ("workshop-error", 3, "boom"),
    ] {
        let script = format!("{DIRECTORY}/{name}.lua");
        guest.until(
            PATIENCE,
            &format!("moonward plugins | grep -P '^{name}\\tfailed\\t.*{script}:{line}: {words}'"),
        )?;
        guest.until(
            PATIENCE,
            &format!(
                "journalctl -q --no-pager -u moonward.service | \
                 grep -E 'script={script} line={line} error=\"?{words}'"
            ),
        )?;
    }
    Ok(())
}
