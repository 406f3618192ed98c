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
