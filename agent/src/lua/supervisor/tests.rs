//! The real host, real files and real events; only the pauses are shorter.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use super::{Init, Pace, Plan, Supervisor};
use crate::config::PluginConfig;
use crate::lua::testing::Stage;
use crate::telemetry::{PartStatus, Room};

/// Pauses that nobody has to wait for.
const PACE: Pace = Pace {
    again: Duration::from_millis(20),
    refresh: Duration::from_millis(20),
    publish: Duration::from_millis(20),
    count: Duration::from_millis(20),
    steady: Duration::from_mins(2),
    hanging: Duration::from_millis(50),
};

/// A supervisor over directories of its own.
pub(super) struct Scene {
    pub(super) supervisor: Option<Supervisor>,
    pub(super) stage: Stage,
}

impl Scene {
    /// Over the directory `plugins`, which is there.
    pub(super) fn new() -> Self {
        let stage = Stage::new();
        fs::create_dir(stage.directory.path().join("plugins")).unwrap();
        Self::over(stage, &["plugins"], None)
    }

    pub(super) fn over(stage: Stage, directories: &[&str], init: Option<Init>) -> Self {
        Self::configured(stage, directories, init, |_| {})
    }

    /// The same with another configuration.
    pub(super) fn configured(
        stage: Stage,
        directories: &[&str],
        init: Option<Init>,
        change: impl FnOnce(&mut PluginConfig),
    ) -> Self {
        let paths = directories.iter();
        let mut config = PluginConfig {
            directories: paths
                .map(|name| stage.directory.path().join(name))
                .collect(),
            stock: false,
            modules: vec![stage.directory.path().join("modules")],
            restart_delay: Duration::from_millis(10),
            restart_delay_max: Duration::from_millis(40),
            ..PluginConfig::default()
        };
        change(&mut config);
        let supervisor = Supervisor::with_pace(&stage.host, Plan { config, init }, PACE);
        Self {
            supervisor: Some(supervisor),
            stage,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.stage.directory.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Puts a whole file in the place of the one that is there, as editors do.
    pub(super) fn replace(&self, name: &str, content: &str) {
        let new = self.path("replacement");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    pub(super) fn part(&self, name: &str) -> Option<PartStatus> {
        let parts = self.stage.board.statuses();
        let mut plugins = parts.into_iter().filter(|part| part.room == Room::Plugin);
        plugins.find(|part| part.name == name)
    }

    pub(super) fn verdict(&self, name: &str) -> Option<&'static str> {
        self.part(name).map(|part| part.verdict)
    }

    pub(super) fn reason(&self, name: &str) -> String {
        self.part(name)
            .and_then(|part| part.reason)
            .unwrap_or_default()
    }

    pub(super) fn value(&self, series: &str) -> Option<f64> {
        self.stage.store.get(series)?.value.as_f64()
    }

    fn text(&self, series: &str) -> String {
        let found = self.stage.store.get(series);
        found
            .map(|found| found.value.to_string())
            .unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        for _ in 0..20_000 {
            if holds(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!(
            "waited too long until {what}: {:#?}",
            self.stage.board.statuses()
        );
    }

    pub(super) fn follow(&self, config: PluginConfig) {
        let plan = Plan { config, init: None };
        self.supervisor.as_ref().unwrap().follow(plan);
    }

    pub(super) fn stop(&mut self) -> bool {
        let supervisor = self.supervisor.take().unwrap();
        let ending = supervisor.stop(Duration::from_secs(20));
        self.stage.runtime.handle().block_on(ending)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.supervisor.is_some() {
            self.stop();
        }
    }
}

/// A plugin that goes on for ever, as ZaLua's do.
pub(super) fn endless(key: &str, value: u32) -> String {
    format!("metrics.set('{key}', {value}) while true do time.sleep(60) end")
}

#[test]
fn zalua_63_a_new_file_starts_changed_content_restarts_and_deletion_stops() {
    let scene = Scene::new();
    scene.write("plugins/a_plugin.lua", &endless("a", 1));
    scene.until("it runs", |scene| scene.value("a") == Some(1.0));
    scene.until("it is active", |scene| {
        scene.verdict("a_plugin") == Some("active")
    });
    scene.write("plugins/a_plugin.lua", &endless("a", 2));
    scene.until("the new code runs", |scene| scene.value("a") == Some(2.0));
    let restarts = "moonward.plugin.restarts{plugin=\"a_plugin\"}";
    scene.until("that is counted", |scene| {
        scene.value(restarts) == Some(1.0)
    });
    fs::remove_file(scene.path("plugins/a_plugin.lua")).unwrap();
    scene.until("its page has gone", |scene| {
        scene.part("a_plugin").is_none()
    });
    assert_eq!(scene.value("a"), None, "its values have gone");
    scene.until("its series have gone", |scene| {
        scene.value(restarts).is_none()
    });
}

#[test]
fn a_touch_restarts_nothing_and_rename_over_and_links_do() {
    let scene = Scene::new();
    // As a mounted configuration map has it.
    for version in ["v1", "v2"] {
        fs::create_dir(scene.path(version)).unwrap();
    }
    scene.write("v1/linked.lua", &endless("linked", 1));
    scene.write("v2/linked.lua", &endless("linked", 2));
    symlink("../v1", scene.path("plugins/..data")).unwrap();
    symlink("..data/linked.lua", scene.path("plugins/linked.lua")).unwrap();
    scene.write("plugins/plain.lua", &endless("plain", 1));
    scene.write("plugins/.hidden.lua", &endless("hidden", 1));
    scene.write("plugins/other.txt", &endless("hidden", 1));
    scene.until("both run", |scene| {
        scene.value("plain").is_some() && scene.value("linked") == Some(1.0)
    });
    // Touched first; when the others are seen, so is that.
    scene.write("plugins/plain.lua", &endless("plain", 1));
    symlink("../v2", scene.path("plugins/..new")).unwrap();
    fs::rename(scene.path("plugins/..new"), scene.path("plugins/..data")).unwrap();
    scene.until("the link leads elsewhere", |scene| {
        scene.value("linked") == Some(2.0)
    });
    scene.write("v2/linked.lua", &endless("linked", 3));
    scene.until("the file behind the link changes", |scene| {
        scene.value("linked") == Some(3.0)
    });
    let restarts = |scene: &Scene, name: &str| scene.part(name).unwrap().details["restarts"];
    assert_eq!(restarts(&scene, "plain"), 0);
    scene.write("plugins/plain.lua~", &endless("plain", 5));
    fs::rename(
        scene.path("plugins/plain.lua~"),
        scene.path("plugins/plain.lua"),
    )
    .unwrap();
    scene.until("it was replaced", |scene| scene.value("plain") == Some(5.0));
    assert_eq!(scene.value("hidden"), None);
}

#[test]
fn directories_may_come_and_go() {
    let scene = Scene::over(Stage::new(), &["far/off"], None);
    fs::create_dir(scene.path("far")).unwrap();
    fs::create_dir(scene.path("far/off")).unwrap();
    scene.write("far/off/a.lua", &endless("a", 1));
    scene.until("it runs", |scene| scene.value("a") == Some(1.0));
    fs::rename(scene.path("far"), scene.path("away")).unwrap();
    scene.until("it is gone", |scene| scene.part("a").is_none());
    fs::rename(scene.path("away"), scene.path("far")).unwrap();
    scene.until("it is back", |scene| scene.value("a") == Some(1.0));
}

#[test]
fn half_a_file_is_never_run() {
    use std::io::Write as _;
    let scene = Scene::new();
    scene.write("plugins/first.lua", &endless("first", 1));
    scene.until("changes are seen", |scene| scene.value("first").is_some());
    let mut file = fs::File::create(scene.path("plugins/slow.lua")).unwrap();
    file.write_all(b"metrics.set('slow', 1) ").unwrap();
    file.flush().unwrap();
    scene.write("plugins/other.lua", &endless("other", 1));
    scene.until("the other runs", |scene| scene.value("other").is_some());
    assert_eq!(scene.part("slow"), None);
    file.write_all(b"metrics.set('slow', 2) while true do time.sleep(60) end")
        .unwrap();
    drop(file);
    scene.until("it runs when it is whole", |scene| {
        scene.value("slow") == Some(2.0)
    });
}

#[test]
fn zalua_64_a_failing_plugin_is_restarted_and_its_error_is_told() {
    let scene = Scene::new();
    scene.until("the count is put", |scene| {
        scene.value("zalua.error.count") == Some(0.0)
    });
    scene.write(
        "plugins/bad_plugin.lua",
        "local x\nlocal function inner() error('boom') end\ninner()",
    );
    scene.until("it failed thrice", |scene| {
        scene.value("zalua.error.count") >= Some(3.0)
    });
    let text = scene.text("zalua.error.last");
    let path = scene.path("plugins/bad_plugin.lua");
    let start = format!("{}:2: boom\nstack traceback:\n", path.display());
    assert!(text.starts_with(&start), "{text}");
    assert!(text.contains("bad_plugin.lua:3: in main chunk"), "{text}");
    scene.until("the page says so", |scene| {
        scene.verdict("bad_plugin") == Some("failed")
    });
    assert_eq!(
        scene.reason("bad_plugin"),
        format!("{}:2: boom", path.display())
    );
    assert!(scene.part("bad_plugin").unwrap().errors >= 3);
    scene.write("plugins/bad_plugin.lua", &endless("good", 1));
    scene.until("it was mended", |scene| {
        scene.verdict("bad_plugin") == Some("active")
    });
}

#[test]
fn zalua_65_a_finished_plugin_runs_again() {
    assert_eq!(Pace::default().again, Duration::from_mins(1));
    let scene = Scene::new();
    let source = "metrics.set('runs', (tonumber((metrics.get('runs'))) or 0) + 1)";
    scene.write("plugins/once_plugin.lua", source);
    scene.until("it ran thrice", |scene| scene.value("runs") >= Some(3.0));
    // The page is written when a run has ended, a little after the run has put its value.
    scene.until("its page says so", |scene| {
        let part = scene.part("once_plugin").unwrap();
        part.verdict == "active" && part.runs >= 2 && part.samples >= 2
    });
    assert_eq!(scene.part("once_plugin").unwrap().errors, 0);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place() {
    let scene = Scene::new();
    scene.write("plugins/syntax.lua", "local a\nlocal b = = 2\n");
    scene.write("plugins/binary.lua", "\x1bLJ\x02");
    fs::create_dir(scene.path("plugins/directory.lua")).unwrap();
    symlink("nowhere", scene.path("plugins/dangling.lua")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scene.path("plugins/pipe.lua"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    scene.write("plugins/bad name.lua", "");
    scene.write("plugins/good.lua", &endless("good", 1));
    scene.until("the good one runs", |scene| scene.value("good").is_some());
    for (name, line, text) in [
        ("syntax", ":2:", "unexpected symbol near '='"),
        ("binary", "", "attempt to load a binary chunk"),
        ("directory", "", "it is a directory"),
        ("dangling", "", "No such file or directory"),
        ("pipe", "", "it is no file"),
    ] {
        scene.until(name, |scene| scene.verdict(name) == Some("failed"));
        let reason = scene.reason(name);
        let file = scene.path(&format!("plugins/{name}.lua{line}"));
        assert!(
            reason.contains(&file.display().to_string()) && reason.contains(text),
            "{reason}"
        );
    }
    let odd = scene.path("plugins/bad name.lua").display().to_string();
    scene.until("the odd name", |scene| {
        scene.verdict(&odd) == Some("failed")
    });
    assert!(scene.reason(&odd).contains("rename it"));
    fs::remove_dir(scene.path("plugins/directory.lua")).unwrap();
    scene.write("plugins/directory.lua", &endless("directory", 1));
    scene.write("nowhere", "");
    symlink("../nowhere", scene.path("plugins/new.lua")).unwrap();
    fs::rename(
        scene.path("plugins/new.lua"),
        scene.path("plugins/dangling.lua"),
    )
    .unwrap();
    for name in ["directory", "dangling"] {
        scene.until(name, |scene| scene.verdict(name) == Some("active"));
    }
}

#[test]
fn the_first_directory_has_a_name_and_the_second_is_told() {
    let stage = Stage::new();
    for name in ["one", "two"] {
        fs::create_dir(stage.directory.path().join(name)).unwrap();
        stage.write(&format!("{name}/same.lua"), endless(name, 1));
    }
    let scene = Scene::over(stage, &["one", "two"], None);
    let second = scene.path("two/same.lua").display().to_string();
    scene.until("the second is refused", |scene| {
        scene.verdict(&second) == Some("failed")
    });
    let first = scene.path("one/same.lua");
    let taken = format!("{second}: its name is taken by {}", first.display());
    assert_eq!(scene.reason(&second), taken);
    scene.until("the first runs", |scene| scene.value("one").is_some());
    assert_eq!(scene.value("two"), None);
    fs::remove_file(first).unwrap();
    scene.until("the second takes its place", |scene| {
        scene.value("two").is_some()
    });
    scene.until("and is refused no more", |scene| {
        scene.part(&second).is_none()
    });
    assert_eq!(scene.verdict("same"), Some("active"));
}

#[test]
fn the_old_run_has_ended_before_the_new_one_begins() {
    let scene = Scene::new();
    let source = |version: u32| {
        format!(
            "local file = io.open('{}', 'a') file:write('begin {version}\\n') file:close()
             local ok = pcall(time.sleep, 60)
             while true do time.sleep(60) end",
            scene.path("log").display()
        )
    };
    for version in 0..20 {
        // Whole at once: between emptying and writing there would be an empty script to run.
        scene.replace("plugins/a.lua", &source(version));
        let line = format!("begin {version}\n");
        scene.until("it runs", |scene| {
            fs::read_to_string(scene.path("log")).is_ok_and(|log| log.ends_with(&line))
        });
    }
    let part = scene.part("a").unwrap();
    assert_eq!((part.details["restarts"], part.errors), (19, 0));
}

#[test]
fn a_plan_is_followed_where_it_differs() {
    let scene = Scene::new();
    scene.write("plugins/a.lua", &endless("a", 1));
    scene.write("plugins/b.lua", &endless("b", 1));
    scene.until("both run", |scene| {
        scene.value("a").is_some() && scene.value("b").is_some()
    });
    let mut config = PluginConfig {
        directories: vec![scene.path("plugins")],
        stock: false,
        modules: vec![scene.path("modules")],
        ..PluginConfig::default()
    };
    config.common.enabled = false;
    let follow = |config: &PluginConfig| scene.follow(config.clone());
    follow(&config);
    scene.until("both are off", |scene| {
        scene.verdict("a") == Some("off") && scene.verdict("b") == Some("off")
    });
    config.common.enabled = true;
    follow(&config);
    scene.until("both are on", |scene| {
        scene.verdict("a") == Some("active") && scene.verdict("b") == Some("active")
    });
    config.directories.clear();
    follow(&config);
    scene.until("both are gone", |scene| {
        scene.part("a").is_none() && scene.part("b").is_none()
    });
}

#[test]
fn the_first_script_of_zalua_stands_for_everything() {
    let stage = Stage::new();
    fs::create_dir(stage.directory.path().join("plugins")).unwrap();
    stage.write("plugins/a.lua", endless("a", 1));
    let path = stage.write(
        "init.lua",
        "metrics.set('init', 1) time.sleep(1) error('enough')",
    );
    let scene = Scene::over(stage, &["plugins"], Some(Init { path, alone: true }));
    let mut ended = scene.supervisor.as_ref().unwrap().init();
    let ended = async move { ended.wait_for(Option::is_some).await.unwrap().clone() };
    let ending = scene.stage.runtime.handle().block_on(ended);
    let Some(crate::lua::Ending::Failed(error)) = ending else {
        panic!("{ending:?}");
    };
    assert_eq!(error.line, Some(1));
    assert_eq!(scene.value("init"), Some(1.0));
    assert_eq!(scene.value("a"), None);
    assert_eq!(scene.verdict("init"), Some("failed"));
}
