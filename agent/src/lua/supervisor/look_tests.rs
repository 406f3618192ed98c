//! A look at the files that hangs, as on a server that is gone, in the real host.

use std::fs;

use super::scan::tests::Hold;
use super::tests::{Scene, endless};
use crate::config::PluginConfig;
use crate::telemetry::status::RESTARTS;

#[test]
fn a_file_that_cannot_be_read_to_its_end_keeps_no_other_plugin_waiting() {
    let mut scene = Scene::new();
    let held = scene.path("plugins/held.lua");
    scene.replace("plugins/held.lua", &endless("held", 1));
    scene.replace("plugins/fails.lua", "error('no')");
    scene.until("it runs", |scene| scene.verdict("held") == Some("active"));
    let hold = Hold::new(held.clone());
    scene.replace("plugins/new.lua", &endless("new", 1));
    let name = held.display().to_string();
    scene.until("it is told", |scene| {
        scene.verdict(&name) == Some("degraded")
    });
    assert!(scene.reason(&name).starts_with("reading it hangs"));
    let restarts = |scene: &Scene| scene.part("fails").unwrap().details[RESTARTS];
    let before = restarts(&scene);
    scene.until("others start again", |scene| restarts(scene) > before + 2);
    assert_eq!(scene.verdict("held"), Some("active"), "what ran goes on");
    drop(hold);
    scene.until("the new one runs", |scene| scene.value("new") == Some(1.0));
    scene.until("the trouble is over", |scene| scene.part(&name).is_none());
    assert_eq!(scene.part("held").unwrap().details[RESTARTS], 0);
    assert!(scene.stop());
}

#[test]
fn the_end_and_a_new_plan_do_not_wait_for_a_look_that_hangs() {
    let mut scene = Scene::new();
    scene.replace("plugins/held.lua", &endless("held", 1));
    scene.until("it runs", |scene| scene.verdict("held") == Some("active"));
    let hold = Hold::new(scene.path("plugins/held.lua"));
    fs::write(scene.path("plugins/new.lua"), endless("new", 1)).unwrap();
    let name = scene.path("plugins/held.lua").display().to_string();
    scene.until("it hangs", |scene| scene.verdict(&name) == Some("degraded"));
    let mut config = PluginConfig {
        directories: vec![scene.path("plugins")],
        stock: false,
        ..PluginConfig::default()
    };
    config.common.enabled = false;
    scene.follow(config);
    scene.until("it is off", |scene| scene.verdict("held") == Some("off"));
    assert!(scene.stop());
    drop(hold);
}
