//! Which plugin runs where the operator has one of a stock plugin's name.

use std::fs;
use std::time::Duration;

use crate::config::PluginConfig;
use crate::lua::testing::Stage;
use crate::lua::{Library, Plan, Supervisor};

/// Who has put `who` when these files are in the operator's directory, and the names of all plugins
/// that ran.
fn run(own: &[&str], has_library: bool) -> (String, Vec<String>) {
    let library = tempfile::tempdir().unwrap();
    let place = library.path().join("lua");
    if has_library {
        fs::create_dir_all(place.join("plugins")).unwrap();
        fs::write(place.join("plugins/cpu.lua"), "metrics.set('who', 'stock')").unwrap();
    }
    let stage = Stage::changed(|options| options.library = Library::at(&place));
    let directory = stage.directory.path().join("plugins");
    fs::create_dir(&directory).unwrap();
    for name in own {
        fs::write(directory.join(name), "metrics.set('who', plugin.name)").unwrap();
    }
    let config = PluginConfig {
        directories: vec![directory],
        library: place,
        ..PluginConfig::default()
    };
    let supervisor = Supervisor::start(&stage.host, Plan { config, init: None });
    let expected = match own {
        [] => "cpu",
        [name, ..] => name.trim_end_matches(".lua"),
    };
    let pages = || -> Vec<String> {
        let parts = stage.board.statuses();
        parts.into_iter().map(|part| part.name).collect()
    };
    while !pages().iter().any(|name| name == expected) || stage.store.get("who").is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let who = stage.store.get("who").unwrap().value.to_string();
    let mut names = pages();
    names.sort();
    let stopping = supervisor.stop(Duration::from_secs(5));
    assert!(stage.runtime.handle().block_on(stopping));
    (who, names)
}

#[test]
fn the_operators_plugin_takes_the_place_of_a_stock_plugin() {
    assert_eq!(run(&[], true), ("stock".into(), vec!["cpu".into()]));
    assert_eq!(run(&["cpu.lua"], true), ("cpu".into(), vec!["cpu".into()]));
}

#[test]
fn so_does_zaluas_own_which_has_another_name() {
    let expected = ("cpu_plugin".into(), vec!["cpu_plugin".to_owned()]);
    assert_eq!(run(&["cpu_plugin.lua"], true), expected);
    // With what is built in.
    let (who, names) = run(&["cpu_plugin.lua"], false);
    assert_eq!(who, "cpu_plugin");
    assert!(!names.contains(&"cpu".to_owned()), "{names:?}");
    assert!(names.contains(&"memory".to_owned()), "{names:?}");
}
