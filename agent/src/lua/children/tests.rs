//! What a script and those that it runs may take together, in the real host.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::DESCENDANTS_MAX;
use crate::lua::testing::Stage;
use crate::lua::{Fault, Run, RunStatus};
use crate::telemetry::status::MEMORY_BYTES;

const MIB: usize = 1_048_576;

/// What a script with this much of a string does, once it has it: it puts `key` and sleeps.
fn holder(bytes: usize, key: &str) -> String {
    format!(
        "kept = ('x'):rep({bytes}) collectgarbage() metrics.set('{key}', 1) \
         while true do time.sleep(60) end"
    )
}

/// Lines of Lua that run each of these files, and wait until each has put the key of its number or
/// has ended; `failed` has the errors then.
fn run_all(files: &[PathBuf]) -> String {
    let mut source = String::from("plugins = {}\n");
    for file in files {
        let file = file.display();
        writeln!(source, "plugins[#plugins + 1] = plugin.new('{file}')").unwrap();
    }
    source.push_str(
        "for _, p in ipairs(plugins) do p:run() end
         failed = {}
         for number, p in ipairs(plugins) do
           while p:is_running() and not metrics.get('kid.' .. number) do time.sleep(1) end
           if not p:is_running() then failed[#failed + 1] = p:error() end
         end\n",
    );
    source
}

/// Waits until a run is so.
#[track_caller]
fn until(run: &Run, so: impl Fn(&RunStatus) -> bool) {
    for _ in 0..20_000 {
        if so(&run.status()) {
            return;
        }
        assert_eq!(run.ending(), None);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("waited too long: {:?}", run.status());
}

/// What the page of a file says of memory.
fn shown(stage: &Stage, file: &std::path::Path) -> usize {
    stage.host.services().register.refresh();
    let name = file.display().to_string();
    let parts = stage.board.statuses();
    let part = parts.iter().find(|part| part.name == name).unwrap();
    usize::try_from(part.details[MEMORY_BYTES]).unwrap()
}

#[test]
fn a_script_and_what_it_runs_have_one_limit_of_memory() {
    let stage = Stage::new();
    let files: Vec<PathBuf> = (1..=12)
        .map(|number| {
            let source = holder(2 * MIB, &format!("kid.{number}"));
            stage.write(&format!("kid{number}.lua"), source)
        })
        .collect();
    let source = format!(
        "{}
         assert(#failed >= 5 and #failed < 12, #failed)
         for _, message in ipairs(failed) do
           assert(message:find('not enough memory (the limit is 16 MiB)', 1, true), message)
         end
         metrics.set('over', 1)
         while true do time.sleep(60) end",
        run_all(&files)
    );
    let parent = stage.start("parent.lua", source);
    until(&parent, |_| stage.store.get("over").is_some());
    // Those that have failed give back what they took a little later.
    until(&parent, |status| status.memory <= 16 * MIB);
    let sum = parent.status().memory;
    assert!(sum > 2 * MIB, "{sum}");
    let kids: usize = files.iter().map(|file| shown(&stage, file)).sum();
    assert!(kids > 2 * MIB && kids < sum, "{kids} of {sum}");
    parent.stop();
    stage.wait(&parent).unwrap_err();
    assert_eq!(parent.status().memory, 0);
}

#[test]
fn copies_of_one_file_are_shown_together() {
    let stage = Stage::new();
    let kid = stage.write(
        "kid.lua",
        "kept = ('x'):rep(1e6) collectgarbage()
         metrics.set('kid.' .. tostring({}), 1) while true do time.sleep(60) end",
    );
    let file = kid.display();
    let parent = stage.start(
        "parent.lua",
        format!(
            "local all = {{}}
             for number = 1, 4 do all[number] = plugin.new('{file}') all[number]:run() end
             while #metrics.list() < 4 do time.sleep(1) end
             metrics.set('over', 1)
             while true do time.sleep(60) end"
        ),
    );
    until(&parent, |status| status.memory > 4_000_000);
    let (kids, sum) = (shown(&stage, &kid), parent.status().memory);
    assert!(kids > 4_000_000 && kids < sum, "{kids} of {sum}");
}

#[test]
fn a_file_that_runs_itself_ends_at_the_limit_of_the_first() {
    let stage = Stage::new();
    let bomb = stage.directory.path().join("bomb.lua");
    let source = format!(
        "local p = plugin.new('{}')
         p:run()
         while true do
           if not p:is_running() then
             metrics.set('end', p:error() or 'none')
             break
           end
           time.sleep(1)
         end
         while true do time.sleep(60) end",
        bomb.display()
    );
    let first = stage.start("bomb.lua", source);
    until(&first, |_| stage.store.get("end").is_some());
    let end = stage.store.get("end").unwrap().value.to_string();
    assert!(
        end.contains("not enough memory (the limit is 16 MiB)"),
        "{end}"
    );
    until(&first, |status| status.memory <= 16 * MIB);
    let descendants = &stage.host.services().descendants;
    let free = (0..=DESCENDANTS_MAX)
        .rev()
        .find(|number| descendants.try_take(*number).is_some());
    let running = DESCENDANTS_MAX - free.unwrap();
    assert!((20..500).contains(&running), "{running}");
}

#[test]
fn all_scripts_together_run_so_many_and_no_more() {
    let stage = Stage::new();
    let kid = stage.write("kid.lua", "while true do time.sleep(60) end");
    let services = stage.host.services();
    let others = services.descendants.try_take(DESCENDANTS_MAX - 1);
    assert!(others.is_some());
    let file = kid.display();
    let two = format!(
        "local one, two = plugin.new('{file}'), plugin.new('{file}')
         one:run()
         local ok, message = pcall(two.run, two)
         assert(not ok)
         assert(message:find('would be one plugin too many: scripts run 1000 already', 1, true),
                message)
         one:stop()
         while one:is_running() do time.sleep(1) end
         repeat until pcall(two.run, two)"
    );
    stage.pass(&two);
    drop(others);
    // All have ended with the script.
    while services.descendants.try_take(DESCENDANTS_MAX).is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn a_script_has_so_many_objects_and_no_more() {
    let stage = Stage::new();
    stage.pass(
        "local kept = {}
         for number = 1, 1000 do kept[number] = plugin.new('/kid' .. number) end
         local ok, message = pcall(plugin.new, '/one')
         assert(not ok and message:find('have 1000 plugins; that is the most', 1, true), message)
         kept[1] = nil
         assert(plugin.new('/one'))",
    );
}

#[test]
fn files_and_connections_of_children_count_as_the_scripts_own() {
    let stage = Stage::new();
    let log = stage.write("log", "line\n");
    let kid = stage.write(
        "kid.lua",
        format!(
            "kept = {{}}
             for number = 1, 100 do kept[number] = tac.open('{}') end
             metrics.set('kid', 1)
             while true do time.sleep(60) end",
            log.display()
        ),
    );
    stage.pass(format!(
        "local p = plugin.new('{}')
         p:run()
         while not metrics.get('kid') do time.sleep(1) end
         local kept = {{}}
         for number = 1, 28 do kept[number] = assert(tac.open('{log}')) end
         local ok, message = pcall(tac.open, '{log}')
         assert(not ok and message:find('128', 1, true), message)",
        kid.display(),
        log = log.display()
    ));
}

#[test]
fn a_parent_that_takes_too_much_itself_is_stopped_with_the_words_of_the_limit() {
    let stage = Stage::new();
    let kid = stage.write("kid.lua", holder(7 * MIB, "kid.1"));
    let source = format!(
        "{}\nassert(#failed == 0, failed[1])\nkept = ('x'):rep(6 * {MIB})",
        run_all(&[kid])
    );
    let error = stage.run(source).unwrap_err();
    assert_eq!(error.fault, Fault::Memory(16 * MIB));
}

#[test]
fn a_script_that_runs_hundreds_leaves_threads_to_others() {
    let stage = Stage::new();
    let busy = stage.write("busy.lua", "while true do end");
    let parent = stage.start(
        "parent.lua",
        format!(
            "for _ = 1, 60 do plugin.new('{}'):run() end
             metrics.set('over', 1)
             while true do time.sleep(60) end",
            busy.display()
        ),
    );
    until(&parent, |_| stage.store.get("over").is_some());
    // The turns of all would go on for 20 s.
    for number in 0..50 {
        let other = stage.start("other.lua", format!("metrics.set('other', {number})"));
        assert_eq!(stage.wait(&other), Ok(()));
    }
    parent.stop();
    stage.wait(&parent).unwrap_err();
}

#[test]
fn a_script_has_its_turns_while_what_it_runs_hangs() {
    let stage = Stage::new();
    let busy = stage.write("busy.lua", "while true do end");
    stage.pass(format!(
        "local all = {{}}
         for number = 1, 5 do
           all[number] = plugin.new('{}')
           all[number]:run()
         end
         time.sleep(1)
         for _, p in ipairs(all) do p:stop() end
         for _, p in ipairs(all) do while p:is_running() do time.sleep(1) end end
         for _, p in ipairs(all) do assert(p:was_stopped()) end",
        busy.display()
    ));
}

#[test]
fn the_page_of_a_plugin_of_the_service_is_not_to_be_had_by_its_name() {
    let stage = Stage::new();
    let other = stage.start(
        "other.lua",
        "metrics.set('other', 1) while true do time.sleep(60) end",
    );
    let page = stage.host.services().register.page("other");
    page.begins(other.clone());
    until(&other, |_| stage.store.get("other").is_some());
    let spoof = stage.start(
        "spoof.lua",
        "local p = plugin.new('other')
         assert(p:filename() == 'other')
         p:run()
         while p:is_running() do time.sleep(0.01) end
         metrics.set('error', p:error())
         while true do time.sleep(60) end",
    );
    until(&spoof, |_| stage.store.get("error").is_some());
    let error = stage.store.get("error").unwrap().value.to_string();
    assert!(error.contains("No such file"), "{error}");
    stage.host.services().register.refresh();
    let parts = stage.board.statuses();
    let part = |name: &str| parts.iter().find(|part| part.name == name).unwrap();
    let own = part("other");
    assert_eq!((own.verdict, own.errors), ("active", 0), "{own:?}");
    let path = std::path::absolute("other").unwrap();
    assert_eq!(part(&path.display().to_string()).verdict, "failed");
    // What it was not told to do, it does not.
    assert_eq!(page.predecessors().len(), 0);
    assert_eq!(other.ending(), None);
}
