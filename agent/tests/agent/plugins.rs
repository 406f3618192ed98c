//! Plugins in the whole agent: files come, change and go; what is wrong is told; a reload.

use std::path::PathBuf;

use crate::place::{Place, eventually};

/// A place with a directory for plugins and nothing else to run.
pub(crate) fn place(extra: &str) -> Place {
    let place = Place::new("");
    std::fs::create_dir(place.path("plugins")).unwrap();
    configure(&place, extra);
    place
}

fn configure(place: &Place, extra: &str) {
    place.configure(&format!(
        "[plugin]\nstock = false\ndirectories = [\"{}\"]\n{extra}",
        place.path("plugins").display()
    ));
}

/// Writes a plugin as editors do: whole at once.
pub(crate) fn save(place: &Place, name: &str, source: &str) -> PathBuf {
    let path = place.path("plugins").join(name);
    let new = place.path("new");
    std::fs::write(&new, source).unwrap();
    std::fs::rename(&new, &path).unwrap();
    path
}

/// The page of a plugin, if it has one.
pub(crate) fn page(place: &Place, name: &str) -> Option<serde_json::Value> {
    let status = place.status();
    let parts = status["parts"].as_array().unwrap();
    parts
        .iter()
        .find(|part| part["room"] == "plugin" && part["name"] == name)
        .cloned()
}

pub(crate) fn is(place: &Place, name: &str, verdict: &str) -> bool {
    page(place, name).is_some_and(|page| page["verdict"] == verdict)
}

fn value(place: &Place, key: &str) -> Option<String> {
    let output = place.ask(&["get", "--", key]);
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.trim_end().to_owned())
}

fn endless(value: u32) -> String {
    format!("metrics.set('key', {value}) while true do time.sleep(60) end")
}

#[test]
fn plugins_come_change_fail_and_go() {
    let place = place("");
    save(&place, "binary.lua", "\x1bLJ\x02");
    std::fs::create_dir(place.path("plugins/directory.lua")).unwrap();
    let agent = place.start();
    let plugin = save(&place, "a.lua", &endless(1));
    assert!(eventually(|| value(&place, "key").as_deref() == Some("1")));
    save(&place, "a.lua", &endless(2));
    assert!(eventually(|| value(&place, "key").as_deref() == Some("2")));
    assert!(eventually(|| is(&place, "a", "active")));
    for name in ["binary", "directory"] {
        assert!(eventually(|| is(&place, name, "failed")), "{name}");
    }
    save(&place, "a.lua", "local a\nlocal b = = 2");
    assert!(eventually(|| is(&place, "a", "failed")));
    let reason = page(&place, "a").unwrap()["reason"].to_string();
    assert!(
        reason.contains(&format!("{}:2: ", plugin.display())),
        "{reason}"
    );
    let listed = place.ask(&["plugins"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("a.lua:2: unexpected symbol near '='"),
        "{listed}"
    );
    save(&place, "a.lua", "metrics.set('key', 3)\n\nerror('boom')");
    assert!(eventually(|| value(&place, "key").as_deref() == Some("3")));
    std::fs::remove_file(&plugin).unwrap();
    assert!(eventually(|| page(&place, "a").is_none()));
    assert_eq!(value(&place, "key"), None);
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
    for words in [
        "a plugin has failed",
        "a plugin has changed",
        "a plugin is gone",
        "boom",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[test]
fn a_reload_switches_plugins_off_and_on_and_gives_them_options() {
    let place = place("[plugin.a.options]\nkey = 1\n");
    let source =
        "metrics.set(plugin.name, plugin.options.key or 0) while true do time.sleep(60) end";
    save(&place, "a.lua", source);
    save(&place, "b.lua", source);
    let agent = place.start();
    assert!(eventually(|| value(&place, "a").as_deref() == Some("1")));
    assert!(eventually(|| value(&place, "b").as_deref() == Some("0")));
    configure(
        &place,
        "[plugin.a]\nenabled = false\n[plugin.b.options]\nkey = 2\n",
    );
    assert!(place.ask(&["reload"]).status.success());
    assert!(eventually(|| is(&place, "a", "off")));
    assert!(eventually(|| value(&place, "b").as_deref() == Some("2")));
    configure(&place, "[plugin.b.options]\nkey = 2\n");
    assert!(place.ask(&["reload"]).status.success());
    assert!(eventually(|| is(&place, "a", "active")));
    let page = page(&place, "b").unwrap();
    assert_eq!(
        page["details"]["restarts"], 1,
        "the second reload did not touch it: {page}"
    );
    agent.end();
}

/// Hangs in the system where the log is a pipe that nobody reads.
const HANG: &str = "for _ = 1, 100 do log.info(('x'):rep(10000)) end";

/// The log, which is to be such a pipe.
fn pipe(place: &Place) -> PathBuf {
    let pipe = place.path("log");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    pipe
}

#[test]
fn when_no_thread_is_left_for_plugins_the_journal_says_so() {
    let place = place("");
    let pipe = pipe(&place);
    configure(&place, &format!("[zalua]\nlog = \"{}\"\n", pipe.display()));
    for number in 0..33 {
        save(&place, &format!("hung{number}.lua"), HANG);
    }
    let agent = place.start();
    save(&place, "late.lua", &endless(1));
    assert!(eventually(|| is(&place, "late", "degraded")));
    let reason = page(&place, "late").unwrap()["reason"].to_string();
    assert!(reason.contains("waits for a thread since"), "{reason}");
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
    let told = log.matches("plugins wait for a thread").count();
    assert!((1..=3).contains(&told), "{log}");
}

#[test]
fn plugins_that_hang_in_the_system_stop_nobody_and_keep_nothing_from_ending() {
    let place = place("");
    let pipe = pipe(&place);
    configure(
        &place,
        &format!(
            "deadline = \"1s\"\n[plugin.main]\ndeadline = \"1m\"\n[zalua]\nlog = \"{}\"\n",
            pipe.display()
        ),
    );
    let every = format!("plugin.every(1, function() {HANG} end)");
    save(&place, "every.lua", &every);
    save(&place, "main.lua", HANG);
    let agent = place.start_watched();
    let is_left = |name: &str| {
        eventually(|| {
            let reason = page(&place, name).map(|page| page["reason"].to_string());
            reason.is_some_and(|reason| reason.contains("although it was told to end"))
        })
    };
    assert!(is_left("every"), "after its deadline");
    save(&place, "main.lua", "metrics.set('main', 1)");
    assert!(is_left("main"), "after it was saved");
    let beat = "local n = 0 plugin.every(0.1, function() n = n + 1 metrics.set('key', n) end)";
    save(&place, "beat.lua", beat);
    let count = || value(&place, "key").map_or(0, |text| text.parse().unwrap());
    assert!(eventually(|| count() > 5));
    place.forget_heard();
    for _ in 0..5 {
        agent.wait_for("WATCHDOG=1");
    }
    let before: u32 = count();
    assert!(eventually(|| count() > before + 5));
    assert_eq!(value(&place, "main"), None);
    let begun = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec;
    let (code, log) = agent.end();
    let took = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec - begun;
    assert_eq!(code, Some(0), "{log}");
    assert!(took < 15, "it ended after {took} s: {log}");
    assert!(log.contains("a plugin does not go on"), "{log}");
    assert!(!log.contains("did not end in time"), "{log}");
}
