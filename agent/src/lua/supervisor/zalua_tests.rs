//! ZaLua's first script and its handles, in the real host.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Init, Pace, Plan, Supervisor};
use crate::config::PluginConfig;
use crate::lua::Fault;
use crate::lua::testing::Stage;
use crate::model::Clock;
use crate::telemetry::Room;
use crate::telemetry::status::MEMORY_BYTES;

const INIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/zalua/init.lua");

/// A service that a client has started, over a directory like `/etc/zalua`.
struct Zalua {
    stage: Stage,
    supervisor: Option<Supervisor>,
}

impl Zalua {
    /// With the script that looks after its plugins every so many seconds, which are whole; with 0
    /// it does not rest.
    fn every(seconds: u32) -> Self {
        let stage = Stage::changed(|options| options.log = Some(options.modules[0].join("log")));
        fs::create_dir(stage.directory.path().join("plugins")).unwrap();
        let text = fs::read_to_string(INIT).unwrap();
        let changed = text.replace("local period = 5\n", &format!("local period = {seconds}\n"));
        assert_ne!(text, changed);
        let init = Init {
            path: stage.write("init.lua", changed),
            alone: true,
        };
        let plan = Plan {
            config: PluginConfig::default(),
            init: Some(init),
        };
        let supervisor = Some(Supervisor::with_pace(&stage.host, plan, Pace::default()));
        Self { stage, supervisor }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.stage.directory.path().join("plugins").join(name)
    }

    fn value(&self, series: &str) -> Option<f64> {
        self.stage.store.get(series)?.value.as_f64()
    }

    /// The line of `zalua -p` for a file.
    fn line(&self, name: &str) -> Option<String> {
        let file = self.path(name).display().to_string();
        let parts = self.stage.board.statuses();
        let mut plugins = parts.iter().filter(|part| part.room == Room::Plugin);
        plugins
            .find(|part| part.name == file)
            .map(crate::serve::zalua::format::plugin_line)
    }

    #[track_caller]
    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        for _ in 0..30_000 {
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
}

impl Drop for Zalua {
    fn drop(&mut self) {
        let supervisor = self.supervisor.take().unwrap();
        let ending = supervisor.stop(Duration::from_secs(20));
        self.stage.runtime.handle().block_on(ending);
    }
}

#[test]
fn zalua_62_the_first_script_keeps_its_plugins() {
    let zalua = Zalua::every(1);
    let plugin = zalua.path("a_plugin.lua");
    fs::write(
        &plugin,
        "metrics.set('a', 1) while true do time.sleep(60) end",
    )
    .unwrap();
    fs::write(zalua.path("other.lua"), "metrics.set('other', 1)").unwrap();
    zalua.until("the new file runs", |zalua| zalua.value("a") == Some(1.0));
    let line = format!("{}\t\ttrue\t\t<no error>", plugin.display());
    zalua.until("it is listed", |zalua| {
        zalua.line("a_plugin.lua").as_ref() == Some(&line)
    });
    fs::write(
        &plugin,
        "metrics.set('a', 2) while true do time.sleep(60) end",
    )
    .unwrap();
    zalua.until("changed content runs", |zalua| {
        zalua.value("a") == Some(2.0)
    });
    assert_eq!(zalua.line("a_plugin.lua"), Some(line));
    assert_eq!(zalua.value("zalua.error.count"), Some(0.0));
    fs::write(&plugin, "local x\nerror('boom')").unwrap();
    zalua.until("the errors are counted", |zalua| {
        zalua.value("zalua.error.count") >= Some(2.0)
    });
    let last = zalua
        .stage
        .store
        .get("zalua.error.last")
        .unwrap()
        .value
        .to_string();
    let start = format!("{}:2: boom\nstack traceback:\n", plugin.display());
    assert!(last.starts_with(&start), "{last}");
    let log = fs::read_to_string(zalua.stage.directory.path().join("log")).unwrap();
    assert!(log.contains(&start), "{log}");
    fs::write(&plugin, "while true do time.sleep(60) end").unwrap();
    zalua.until("it is mended", |zalua| {
        zalua
            .line("a_plugin.lua")
            .is_some_and(|line| line.contains("\ttrue\t"))
    });
    fs::remove_file(&plugin).unwrap();
    zalua.until("it is stopped", |zalua| {
        zalua
            .line("a_plugin.lua")
            .is_none_or(|line| line.contains("\tfalse\t"))
    });
    assert_eq!(zalua.value("other"), None);
}

#[test]
fn zalua_65_the_first_script_runs_a_finished_plugin_again() {
    let zalua = Zalua::every(0);
    let count = "metrics.set('runs', (tonumber((metrics.get('runs'))) or 0) + 1)";
    fs::write(zalua.path("once_plugin.lua"), count).unwrap();
    zalua.until("it ran thrice", |zalua| zalua.value("runs") >= Some(3.0));
}

#[test]
fn plugins_of_the_first_script_have_a_limit_of_memory_each() {
    let zalua = Zalua::every(1);
    // Either alone is within the 32 MiB of a plugin, and both together are not.
    for name in ["one", "two"] {
        let source = format!(
            "local kept = {{}}
             for number = 1, 18 do
               kept[number] = ('x'):rep(1e6) .. number
               collectgarbage()
             end
             metrics.set('{name}', #kept)
             while true do time.sleep(60) end"
        );
        fs::write(zalua.path(&format!("{name}_plugin.lua")), source).unwrap();
    }
    zalua.until("both have what they want", |zalua| {
        zalua.value("one") == Some(18.0) && zalua.value("two") == Some(18.0)
    });
    let shown = |zalua: &Zalua, name: &str| {
        let file = zalua.path(name).display().to_string();
        let parts = zalua.stage.board.statuses();
        let part = parts.iter().find(|part| part.name == file);
        part.map_or(0, |part| part.details[MEMORY_BYTES])
    };
    zalua.until("their pages say so", |zalua| {
        shown(zalua, "one_plugin.lua") > 18_000_000 && shown(zalua, "two_plugin.lua") > 18_000_000
    });
    assert_eq!(zalua.value("zalua.error.count"), Some(0.0));
}

#[test]
fn zalua_40_a_plugin_of_a_script_is_run_and_stopped() {
    let stage = Stage::new();
    let sleeper = stage.write(
        "sleeper.lua",
        "metrics.set('on', 1) while true do time.sleep(60) end",
    );
    let failing = stage.write("failing.lua", "\nerror('boom')");
    let returns = stage.write("returns.lua", "metrics.set('ran', 1)");
    stage.pass(format!(
        "local function ended(p) while p:is_running() do end end
         local p = plugin.new('{sleeper}')
         assert(p:filename() == '{sleeper}')
         assert(not p:is_running() and p:error() == nil and not p:was_stopped())
         assert(not pcall(p.stop, p))
         assert(select('#', p:run()) == 0 and p:is_running())
         while not metrics.get('on') do end
         p:run()
         assert(p:is_running() and p:error() == nil)
         assert(select('#', p:stop()) == 0)
         ended(p)
         assert(p:error() == 'plugin was stopped' and p:was_stopped())
         p:run()
         assert(p:is_running() and p:error() == nil and not p:was_stopped())
         p:stop() p:run()
         assert(p:is_running())
         p:stop()

         local p = plugin.new('{failing}')
         p:run() ended(p)
         assert(p:error():find('^{failing}:2: boom\\nstack traceback:\\n\\t'), p:error())
         assert(not p:was_stopped())

         local p = plugin.new('{returns}')
         p:run() ended(p)
         assert(p:error() == nil and not p:was_stopped() and metrics.get('ran') == '1.00')

         local p = plugin.new('/absent.lua')
         p:run() ended(p)
         assert(p:error() == 'open /absent.lua: No such file or directory (os error 2)', p:error())

         local ok, message = pcall(p.run, 1)
         assert(message == 'bad argument #1 to run (plugin expected)', message)
         local ok, message = pcall(plugin.new, 1)
         assert(message:find('bad argument #1 to new (string expected, got number)', 1, true), message)",
        sleeper = sleeper.display(),
        failing = failing.display(),
        returns = returns.display(),
    ));
    // Its plugins end with a script, and their pages go when whoever writes them has heard of it.
    until(|| {
        stage
            .board
            .statuses()
            .iter()
            .all(|part| part.room != Room::Plugin)
    });
}

/// Waits until it is so, but not for ever.
fn until(mut so: impl FnMut() -> bool) {
    let begun = Clock::System.now();
    while !so() {
        assert!(Clock::System.now().since(begun) < Duration::from_secs(20));
        std::thread::yield_now();
    }
}

#[test]
fn plugins_of_a_script_end_with_it() {
    let stage = Stage::new();
    let busy = stage.write("busy.lua", "metrics.set('busy', 1) while true do end");
    let parent = stage.start(
        "parent.lua",
        format!(
            "plugin.new('{}'):run() while true do time.sleep(60) end",
            busy.display()
        ),
    );
    while stage.store.get("busy").is_none() {
        std::thread::yield_now();
    }
    let name = busy.display().to_string();
    assert!(stage.board.statuses().iter().any(|part| part.name == name));
    parent.stop();
    assert_eq!(stage.wait(&parent).unwrap_err().fault, Fault::Stopped);
    until(|| !stage.board.statuses().iter().any(|part| part.name == name));
}
