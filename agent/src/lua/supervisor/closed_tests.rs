//! Directories that cannot be looked into, in the real host. A ring of links is one for every user.

use std::fs;
use std::os::unix::fs::symlink;

use super::tests::{Scene, endless};
use crate::lua::testing::Stage;
use crate::telemetry::status::RESTARTS;

/// Puts a link in the place of what is there.
fn link(scene: &Scene, name: &str, target: &str) {
    let new = scene.path("link");
    symlink(target, &new).unwrap();
    fs::rename(new, scene.path(name)).unwrap();
}

/// A scene whose directory is a link to `real`, which has the plugin `a`; it runs.
fn linked() -> Scene {
    let stage = Stage::new();
    fs::create_dir(stage.directory.path().join("real")).unwrap();
    symlink("real", stage.directory.path().join("plugins")).unwrap();
    stage.write("real/a.lua", endless("a", 1));
    let scene = Scene::over(stage, &["plugins"], None);
    scene.until("it runs", |scene| scene.verdict("a") == Some("active"));
    scene
}

#[test]
fn a_directory_that_cannot_be_reached_keeps_its_plugins_and_is_told() {
    let scene = linked();
    let name = scene.path("plugins").display().to_string();
    link(&scene, "plugins", "plugins");
    scene.until("it is told", |scene| scene.verdict(&name) == Some("failed"));
    let reason = scene.reason(&name);
    assert!(reason.starts_with(&format!("open {name}: ")), "{reason}");
    assert!(reason.contains("(os error 40)"), "{reason}");
    // Longer than a file may be away.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(scene.verdict("a"), Some("active"));
    link(&scene, "plugins", "real");
    scene.until("the trouble is over", |scene| scene.part(&name).is_none());
    assert_eq!(scene.verdict("a"), Some("active"));
    assert_eq!(scene.part("a").unwrap().details[RESTARTS], 0, "it went on");
    scene.write("real/a.lua", &endless("a", 2));
    scene.until("changes are followed", |scene| {
        scene.value("a") == Some(2.0)
    });
    fs::remove_file(scene.path("real/a.lua")).unwrap();
    scene.until("it is gone", |scene| scene.part("a").is_none());
}

#[test]
fn a_directory_that_cannot_be_read_keeps_its_plugins_and_is_told() {
    let scene = linked();
    let name = scene.path("plugins").display().to_string();
    // More scripts than are looked at.
    fs::create_dir(scene.path("crowd")).unwrap();
    for number in 0..=4096 {
        scene.write(&format!("crowd/{number}.lua"), "");
    }
    link(&scene, "plugins", "crowd");
    scene.until("it is told", |scene| scene.verdict(&name) == Some("failed"));
    assert!(scene.reason(&name).contains("more than 4096 scripts"));
    assert_eq!(scene.verdict("a"), Some("active"));
    fs::remove_dir_all(scene.path("crowd")).unwrap();
    fs::create_dir(scene.path("crowd")).unwrap();
    scene.write("crowd/b.lua", &endless("b", 1));
    scene.until("what is there now runs", |scene| {
        scene.verdict("b") == Some("active")
    });
    scene.until("the other is gone", |scene| scene.part("a").is_none());
    assert!(scene.part(&name).is_none());
}

#[test]
fn no_other_plugin_takes_the_place_of_one_in_a_closed_directory() {
    let stage = Stage::new();
    for name in ["real", "second"] {
        fs::create_dir(stage.directory.path().join(name)).unwrap();
    }
    symlink("real", stage.directory.path().join("first")).unwrap();
    stage.write("real/same.lua", endless("first", 1));
    stage.write("second/same.lua", endless("second", 1));
    let scene = Scene::over(stage, &["first", "second"], None);
    scene.until("the first runs", |scene| {
        scene.verdict("same") == Some("active")
    });
    let name = scene.path("first").display().to_string();
    link(&scene, "first", "first");
    scene.until("it is told", |scene| scene.verdict(&name) == Some("failed"));
    let second = scene.path("second/same.lua").display().to_string();
    assert_eq!(scene.verdict(&second), Some("failed"), "its name is taken");
    assert_eq!(scene.verdict("same"), Some("active"));
    assert_eq!(scene.value("second"), None);
}
