//! Turns that hang in a call of the system, in the real host: the log of plugins is a pipe that
//! nobody reads.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use super::tests::{Scene, endless};
use crate::lua::testing::Stage;

/// Writes more than a pipe takes.
const HANG: &str = "for _ = 1, 100 do log.info(('x'):rep(10000)) end";

/// A plugin that shows that it goes on.
const BEAT: &str = "local n = 0 plugin.every(0.1, function() n = n + 1 metrics.set('beat', n) end)";

/// What a page says of a turn that was left behind.
const LEFT: &str = "although it was told to end; it is not run again before that call ends";

fn pipe(scene: &Scene) -> PathBuf {
    scene.path("pipe")
}

/// A supervisor over `plugins` with a pipe for a log, and the plugin `good`, which runs.
fn scene(deadline: Duration) -> Scene {
    let stage = Stage::changed(|options| {
        let pipe = options.modules[0].join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        options.log = Some(pipe);
    });
    fs::create_dir(stage.directory.path().join("plugins")).unwrap();
    let scene = Scene::configured(stage, &["plugins"], None, |config| {
        config.common.deadline = deadline;
        config.common.time = Duration::from_secs(20);
    });
    scene.replace("plugins/good.lua", BEAT);
    goes_on(&scene);
    scene
}

/// Lets everything go that hangs, from now on, until the plugins have ended.
fn read(scene: &Scene) -> JoinHandle<usize> {
    let mut pipe = File::open(pipe(scene)).unwrap();
    std::thread::spawn(move || {
        let (mut buffer, mut sum) = (vec![0; 65_536], 0);
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            sum += length;
        }
        sum
    })
}

/// Other plugins keep pace, a new one starts, and the runtime does what it is asked.
#[track_caller]
fn goes_on(scene: &Scene) {
    let before = scene.value("beat").unwrap_or_default();
    scene.until("the good one goes on", |scene| {
        scene.value("beat") >= Some(before + 3.0)
    });
    let key = format!("new{before}");
    scene.replace(&format!("plugins/{key}.lua"), &endless(&key, 1));
    scene.until("a new one starts", |scene| {
        scene.value(&key).is_some() && scene.verdict(&key) == Some("active")
    });
    let (answer, answered) = std::sync::mpsc::channel();
    let runtime = scene.stage.runtime.handle();
    runtime.spawn(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        answer.send(()).unwrap();
    });
    answered.recv_timeout(Duration::from_secs(10)).unwrap();
}

/// A plugin whose function counts its runs and then hangs.
fn hanging(key: &str) -> String {
    format!(
        "plugin.every(0.1, function()
           metrics.set('{key}', (tonumber((metrics.get('{key}'))) or 0) + 1)
           {HANG}
         end)"
    )
}

#[track_caller]
fn is_left(scene: &Scene, name: &str) {
    scene.until("it is left behind", |scene| {
        scene.reason(name).ends_with(LEFT)
    });
    assert_eq!(scene.verdict(name), Some("degraded"));
}

#[test]
fn a_turn_that_hangs_past_its_deadline_is_left_behind_and_stops_nobody() {
    let mut scene = scene(Duration::from_secs(1));
    scene.write("plugins/hung.lua", &hanging("runs"));
    is_left(&scene, "hung");
    scene.until("the deadline is counted as an error", |scene| {
        scene.part("hung").unwrap().errors == 1
    });
    goes_on(&scene);
    assert_eq!(scene.value("runs"), Some(1.0), "nor is it run again");
    let reader = read(&scene);
    scene.until("it runs again", |scene| scene.value("runs") >= Some(3.0));
    scene.until("its page says so", |scene| {
        scene.verdict("hung") == Some("active")
    });
    assert!(scene.stop());
    drop(scene);
    assert!(reader.join().unwrap() > 65_536);
}

#[test]
fn a_plugin_that_is_saved_while_it_hangs_has_one_thread_and_then_runs_anew() {
    let mut scene = scene(Duration::from_mins(1));
    scene.replace("plugins/hung.lua", &hanging("runs"));
    scene.until("it hangs", |scene| scene.value("runs").is_some());
    for version in 0..40 {
        scene.replace(
            "plugins/hung.lua",
            &format!("{} -- {version}", endless("runs", 7)),
        );
        let before = scene.value("beat");
        scene.until("the good one goes on", |scene| scene.value("beat") > before);
    }
    is_left(&scene, "hung");
    goes_on(&scene);
    assert_eq!(scene.value("runs"), Some(1.0));
    // It is known for as long as it has a thread, also when its file has gone.
    fs::remove_file(scene.path("plugins/hung.lua")).unwrap();
    goes_on(&scene);
    is_left(&scene, "hung");
    scene.replace("plugins/hung.lua", &endless("runs", 8));
    let reader = read(&scene);
    scene.until("the latest runs", |scene| scene.value("runs") == Some(8.0));
    scene.until("its page says so", |scene| {
        scene.verdict("hung") == Some("active")
    });
    assert!(scene.stop());
    drop(scene);
    reader.join().unwrap();
}

#[test]
fn a_plugin_whose_file_goes_while_it_hangs_goes_when_that_ends() {
    let mut scene = scene(Duration::from_mins(1));
    let path = scene.path("plugins/hung.lua");
    scene.write("plugins/hung.lua", HANG);
    scene.until("it is told", |scene| {
        scene.verdict("hung") == Some("degraded")
    });
    let reason = scene.reason("hung");
    let expected = "hangs in a call of the library or the system since 2";
    assert!(reason.starts_with(expected), "{reason}");
    fs::remove_file(path).unwrap();
    is_left(&scene, "hung");
    let reader = read(&scene);
    scene.until("it has gone", |scene| scene.part("hung").is_none());
    assert!(scene.stop());
    drop(scene);
    reader.join().unwrap();
}

#[test]
fn the_supervisor_ends_while_turns_hang() {
    for deadline in [Duration::from_secs(1), Duration::from_mins(1)] {
        let mut scene = scene(deadline);
        scene.write("plugins/hung.lua", &hanging("runs"));
        scene.write("plugins/main.lua", HANG);
        scene.until("one hangs", |scene| scene.value("runs").is_some());
        if deadline < Duration::from_mins(1) {
            is_left(&scene, "hung");
        }
        let clock = scene.stage.store.clock().clone();
        let before = clock.now();
        assert!(scene.stop(), "it ends all the same");
        let took = clock.now().since(before);
        assert!(took < Duration::from_secs(8), "{took:?}");
        let reader = read(&scene);
        drop(scene);
        reader.join().unwrap();
    }
}

#[test]
fn a_plugin_of_a_script_that_hangs_is_not_run_twice() {
    let mut scene = scene(Duration::from_mins(1));
    scene.write("child.lua", &hanging("begun"));
    let child = scene.path("child.lua").display().to_string();
    scene.write(
        "plugins/parent.lua",
        &format!(
            "local child = plugin.new('{child}') child:run()
             while not metrics.get('begun') do time.sleep(1) end
             for _ = 1, 2 do child:stop() time.sleep(2) child:run() end
             metrics.set('tried', 1)
             time.sleep(1000)"
        ),
    );
    scene.until("it was run again and again", |scene| {
        scene.value("tried").is_some()
    });
    is_left(&scene, &child);
    assert_eq!(scene.value("begun"), Some(1.0));
    // Nor by another run of the script.
    scene.replace(
        "plugins/parent.lua",
        &format!("plugin.new('{child}'):run() metrics.set('tried', 2) time.sleep(1000)"),
    );
    scene.until("the new one has run it", |scene| {
        scene.value("tried") == Some(2.0)
    });
    is_left(&scene, &child);
    goes_on(&scene);
    assert_eq!(scene.value("begun"), Some(1.0));
    let reader = read(&scene);
    scene.until("it runs", |scene| scene.value("begun") >= Some(2.0));
    scene.until("its page says so", |scene| {
        scene.verdict(&child) == Some("active")
    });
    assert!(scene.stop());
    drop(scene);
    reader.join().unwrap();
}

#[test]
fn who_gets_no_thread_says_so() {
    let mut scene = scene(Duration::from_mins(1));
    for number in 0..33 {
        scene.write(&format!("plugins/hung{number}.lua"), HANG);
    }
    scene.until("it is told", |scene| {
        scene
            .reason("good")
            .starts_with("waits for a thread since 2")
    });
    assert_eq!(scene.verdict("good"), Some("degraded"));
    let reader = read(&scene);
    scene.until("it goes on", |scene| {
        scene.verdict("good") == Some("active")
    });
    goes_on(&scene);
    assert!(scene.stop());
    drop(scene);
    reader.join().unwrap();
}
