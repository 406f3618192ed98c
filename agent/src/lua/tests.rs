//! What a script can and cannot do to the state and its limits.

use std::time::Duration;

use super::testing::{LIMITS, Stage};
use super::{Fault, Limits, SCRIPT_MAX, ScriptError};
use crate::model::Clock;

const LIMIT: Duration = Duration::from_millis(50);

fn run(source: &str) -> Result<(), ScriptError> {
    Stage::new().run(source)
}

#[test]
fn endless_scripts_are_stopped() {
    for source in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "coroutine.wrap(function() while true do end end)()",
        "coroutine.wrap(function() while true do pcall(error) end end)()",
        "string.gsub(string.rep('x', 1e6), 'x', function() while true do end end)",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "xpcall(function() while true do end end, function() while true do end end)",
        "xpcall(error, function() while true do end end)",
        "while true do xpcall(function() while true do end end, debug.traceback) end",
        "coroutine.wrap(function() xpcall(error, function() while true do end end) end)()",
    ] {
        let source = format!("local a\n{source}\n");
        let clock = Clock::System;
        let before = clock.now();
        let mut stage = Stage::new();
        stage.limits = Limits {
            time: Some(LIMIT),
            ..LIMITS
        };
        let error = stage.run(&source).unwrap_err();
        assert_eq!(error.fault, Fault::Time(LIMIT), "{source}");
        assert_eq!(error.line, Some(2), "{source}");
        let text = error.to_string();
        let expected = "script.lua:2: stopped, it ran longer than 0.05 s without a pause";
        assert!(text.ends_with(expected), "{text}");
        let took = clock.now().since(before);
        assert!(took >= LIMIT && took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn a_script_in_time_is_left_alone() {
    let source = "local x = 0 for i = 1, 1e5 do x = x + i end assert(x == 5000050000)";
    run(source).unwrap();
}

#[test]
fn memory_is_limited() {
    for source in [
        "\nlocal s = ('x'):rep(2^30)",
        "\nlocal t = {} while true do t[#t + 1] = {} end",
    ] {
        let error = run(source).unwrap_err();
        assert_eq!(error.fault, Fault::Memory(16 * 1_048_576), "{source}");
        assert!(error.to_string().contains("16 MiB"), "{error}");
    }
}

#[test]
fn byte_code_is_refused_by_every_way_in() {
    let error = run("\x1bLJ\x02").unwrap_err();
    assert!(matches!(error.fault, Fault::Syntax(_)), "{error:?}");
    assert!(error.to_string().contains("binary chunk"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("module.lua");
    let source = format!(
        "local code = string.dump(function() return 1 end)
         local path = '{}'
         local file = io.open(path, 'w') file:write(code) file:close()
         for _, f in ipairs({{load, loadstring, function(c) return load(c, 'n', 'b') end}}) do
           local main, message = f(code)
           assert(not main and message:find('wrong mode'), message)
         end
         local main, message = load(coroutine.wrap(function() coroutine.yield(code) end))
         assert(not main and message:find('wrong mode'), message)
         local main, message = loadfile(path)
         assert(not main and message:find('wrong mode'), message)
         local main, message = loadfile(path, 'bt')
         assert(not main and message:find('wrong mode'), message)
         assert(not pcall(dofile, path))
         package.path = path:gsub('module', '?')
         local ok, message = pcall(require, 'module')
         assert(not ok and message:find('wrong mode'), message)",
        module.display()
    );
    run(&source).unwrap();
}

#[test]
fn text_is_loaded_by_every_way_in() {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("module.lua");
    std::fs::write(&module, "seen = ...\nreturn {answer = 42}").unwrap();
    let source = format!(
        "local path = '{}'
         assert(load('return 1')() == 1)
         assert(loadstring('return ...', '=n')(2) == 2)
         assert(load('return x', 'n', 't', {{x = 3}})() == 3)
         assert(loadfile(path)(4).answer == 42 and seen == 4)
         assert(dofile(path).answer == 42)
         package.path = path:gsub('module', '?')
         assert(require('module').answer == 42 and seen == 'module')
         local ok, message = pcall(require, 'absent')
         assert(not ok and message:find('no file .*absent.lua'), message)",
        module.display()
    );
    run(&source).unwrap();
}

#[test]
fn the_standard_libraries_are_there_and_what_is_dangerous_is_not() {
    run(
        "for _, name in ipairs({'table', 'io', 'os', 'string', 'math', 'coroutine', 'package',
                               'bit', 'debug'}) do
           assert(type(_G[name]) == 'table', name)
         end
         for _, name in ipairs({'jit', 'ffi', 'newproxy'}) do assert(_G[name] == nil, name) end
         for _, name in ipairs({'jit', 'jit.opt', 'jit.util', 'jit.profile', 'ffi'}) do
           assert(not pcall(require, name), name)
         end
         for _, name in ipairs({'sethook', 'setmetatable', 'getregistry', 'setupvalue'}) do
           assert(debug[name] == nil, name)
         end
         assert(not package.loadlib or not pcall(package.loadlib, 'libc.so.6', 'exit'))",
    )
    .unwrap();
}

#[test]
fn debug_looks_like_the_manual_says() {
    run("local here = debug.getinfo(1)
         assert(here.source:match('^/.*/script.lua$') and here.short_src == here.source)
         assert(here.what == 'main' and here.currentline == 1)
         local function named() local info = debug.getinfo(1, 'nlf') return info end
         local info = named()
         assert(info.name == 'named' and info.namewhat == 'local' and info.func == named)
         assert(info.currentline == 4 and info.source == nil)
         local info = debug.getinfo(named)
         assert(info.linedefined == 4 and info.currentline == -1 and info.nups == 0)
         assert(debug.getinfo(type).what == 'C' and debug.getinfo(type).currentline == -1)
         assert(debug.getinfo(100) == nil and debug.getinfo(-1) == nil)
         assert(not pcall(debug.getinfo, 'x') and not pcall(debug.getinfo))
         assert(coroutine.wrap(function() local i = debug.getinfo(1) return i.currentline end)() == 13)
         assert(debug.traceback('m'):find('^m\\nstack traceback:\\n\\t/.*/script.lua:14:'))
         local t = {} assert(debug.traceback(t) == t)
         assert(select(2, xpcall(error, debug.traceback)) == nil)")
    .unwrap();
}

#[test]
fn an_error_names_the_script_and_the_line() {
    let stage = Stage::new();
    let long = format!("{}.lua", "long".repeat(50));
    for name in ["script.lua", &long] {
        for (source, text) in [
            ("\n\nerror('boom')", "boom"),
            ("\n\nerror({})", ""),
            (
                "\n\nlocal x = nil + 1",
                "attempt to perform arithmetic on a nil value",
            ),
            ("\n\nx x", "'=' expected near 'x'"),
            (
                "\n\ndebug.getinfo('x')",
                "bad argument #1 to 'getinfo' (function or level expected)",
            ),
            (
                "\n\nmetrics.set(1, 2)",
                "bad argument #1 to set (string expected, got number)",
            ),
        ] {
            let error = stage.wait(&stage.start(name, source)).unwrap_err();
            assert!(error.script.ends_with(name), "{error:?}");
            assert_eq!(error.line, Some(3), "{error:?}");
            let (Fault::Syntax(message) | Fault::Raised(message)) = &error.fault else {
                panic!("{error:?}");
            };
            if !text.is_empty() {
                assert_eq!(message, text);
            }
        }
    }
    let error = run("error('no place', 0)").unwrap_err();
    assert_eq!(error.fault, Fault::Raised("no place".into()));
}

#[test]
fn a_file_is_not_read_without_end() {
    let stage = Stage::new();
    let start = |path: &std::path::Path| {
        stage.wait(&stage.host.start(super::Script {
            name: "script".into(),
            path: path.to_owned(),
            code: None,
            options: crate::config::Options::default(),
            limits: LIMITS,
            deadline: LIMIT,
        }))
    };
    for path in ["/dev/zero".as_ref(), stage.directory.path()] {
        let error = start(path).unwrap_err();
        assert!(matches!(error.fault, Fault::Unreadable(_)), "{error:?}");
    }
    let size = usize::try_from(SCRIPT_MAX).unwrap();
    let longest = stage.write("longest.lua", vec![b'\n'; size]);
    start(&longest).unwrap();
}

#[test]
fn library_errors_are_text_at_the_place_of_the_call() {
    Stage::new().pass(
        "local ok, message = pcall(metrics.set, 1, 2)
         assert(type(message) == 'string')
         local ok, message = pcall(function()
           metrics.set('a', {})
         end)
         assert(message:find('script.lua:4: argument #2 must be string or number', 1, true), message)
         local ok, message = pcall(function() time.sleep('1') end)
         assert(message:find('script.lua:7: bad argument #1 to sleep (number expected, got string)', 1, true), message)",
    );
}

#[test]
fn a_result_without_a_message_is_one_result() {
    Stage::new().pass(
        "metrics.set('document', json.encode({a = 1}))
         assert(metrics.get('document') == '{\"a\":1}')
         assert(select('#', json.encode({})) == 1 and select('#', json.encode(print)) == 2)
         assert(select('#', time.parse('2006', '2017')) == 1 and select('#', metrics.get('none')) == 2)",
    );
}

#[test]
fn waiting_works_from_everywhere() {
    Stage::new().pass(
        "time.sleep(0)
         assert(pcall(time.sleep, 0))
         local order = {}
         local maker = coroutine.wrap(function()
           for i = 1, 3 do time.sleep(0) coroutine.yield(i) end
           local inner = coroutine.create(function(x) time.sleep(0) return x, 'inner' end)
           local ok, x, text = coroutine.resume(inner, 7)
           assert(ok and x == 7 and text == 'inner')
           return 'end'
         end)
         assert(maker() == 1 and maker() == 2 and maker() == 3 and maker() == 'end')
         local list = {3, 1, 2}
         table.sort(list, function(a, b) time.sleep(0) return a < b end)
         assert(list[1] == 1 and list[3] == 3)
         local failing = coroutine.wrap(function() time.sleep(0) error('inside') end)
         local ok, message = pcall(failing)
         assert(not ok and message:find('inside'), message)
         assert(not pcall(coroutine.yield, 1))",
    );
}

#[test]
fn a_thousand_sleeping_plugins_cost_no_threads() {
    let stage = Stage::new();
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let source = "metrics.set(plugin.name, 1) while true do time.sleep(60) end";
    let first = stage.start("first.lua", source);
    while first.status().turns < 1 || first.status().in_turn.is_some() {
        std::thread::yield_now();
    }
    let before = threads();
    let runs: Vec<_> = (0..1000)
        .map(|number| stage.start(&format!("p{number}.lua"), source))
        .collect();
    while stage.store.status().series < 1001 {
        std::thread::yield_now();
    }
    // The tests beside this one come and go, and so may a relief thread or two.
    assert!(threads() < before + 40, "{before} then {}", threads());
    for run in &runs {
        run.stop();
    }
    for run in &runs {
        let error = stage.wait(run).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{}: plugin was stopped", error.script)
        );
    }
    assert_eq!(first.ending(), None);
}

#[test]
fn zalua_41_stop_interrupts_a_busy_loop() {
    let stage = Stage::new();
    let run = stage.start("busy.lua", "metrics.set('busy', 1) while true do end");
    while stage.store.get("busy").is_none() {
        std::thread::yield_now();
    }
    run.stop();
    assert_eq!(stage.wait(&run).unwrap_err().fault, Fault::Stopped);
}

#[test]
fn functions_run_every_so_often_until_they_fail() {
    let stage = Stage::new();
    let error = stage
        .run(
            "local n = 0
             plugin.every(0.1, function()
               n = n + 1
               time.sleep(0)
               metrics.set('n', n)
               if n == 3 then error('enough') end
             end)
             assert(not pcall(plugin.every, 0, print))",
        )
        .unwrap_err();
    assert_eq!(error.line, Some(6));
    assert_eq!(error.fault, Fault::Raised("enough".into()));
    assert_eq!(stage.store.get("n").unwrap().value.as_f64(), Some(3.0));
}

#[test]
fn instructions_are_limited() {
    let mut stage = Stage::new();
    stage.limits = Limits {
        instructions: Some(100_000),
        ..LIMITS
    };
    let error = stage.run("while true do end").unwrap_err();
    assert_eq!(error.fault, Fault::Instructions(100_000));
    stage.pass("for i = 1, 10 do for j = 1, 9000 do end time.sleep(0) end");
}

#[test]
fn a_plugin_cannot_reach_into_the_process_through_files() {
    Stage::new().pass(
        "for _, path in ipairs({'/proc/self/mem', '/proc/thread-self/mem', '/proc/self/fd/1'}) do
           for _, mode in ipairs({'r', 'r+', 'w', 'a', 'rb'}) do
             local file, message, code = io.open(path, mode)
             assert(not file and message:find('part of the service') and code == 13, path .. mode)
           end
           assert(not pcall(io.lines, path) and not pcall(io.input, path))
           assert(not pcall(io.output, path))
           assert(not os.remove(path) and not os.rename(path, '/tmp/x'))
         end
         local file, message = io.open('/etc/moonward-test', 'w')
         assert(not file and message:find('writes below /tmp'), message)
         assert(not os.remove('/etc/hostname') and not os.rename('/etc/hostname', '/tmp/x'))
         assert(not io.stdout:close() or true)
         io.stdout:write('')",
    );
}

#[test]
fn files_are_used_as_the_manual_says() {
    let stage = Stage::new();
    let path = stage.directory.path().join("file").display().to_string();
    stage.pass(format!(
        "local path = '{path}'
         local file = assert(io.open(path, 'w'))
         file:write('one\\ntwo\\n') file:close()
         local lines = {{}}
         for line in io.lines(path) do lines[#lines + 1] = line end
         assert(#lines == 2 and lines[2] == 'two')
         io.input(path) assert(io.read() == 'one') io.input():close() io.input(io.stdin)
         assert(os.rename(path, path .. '2') and os.remove(path .. '2'))
         local file, message = io.open(path)
         assert(not file and message:find('No such file'), message)
         assert(not pcall(io.lines, path))"
    ));
}

#[test]
fn a_plugin_cannot_take_all_descriptors() {
    Stage::new().pass(
        "local kept = {}
         for i = 1, 100 do
           local file, message, code = io.open('/proc/stat')
           if i > 64 then assert(not file and code == 24, message) else kept[i] = assert(file) end
         end
         kept[1]:close()
         assert(io.open('/proc/stat'))
         kept = nil
         -- What was dropped is collected and makes room.
         for i = 1, 200 do assert(io.open('/proc/stat')) end",
    );
}

#[test]
fn a_module_is_whole_at_the_first_look_and_keeps_what_a_script_puts_there() {
    Stage::new().pass(
        "time.zone = 'mine'
         local own = function() return 7 end
         metrics.list = own
         assert(type(time.unix) == 'function' and time.zone == 'mine')
         assert(metrics.list() == 7 and type(metrics.set) == 'function' and metric == metrics)
         assert(rawget(metrics, 'get') and not getmetatable(metrics) and metrics.absent == nil)
         local names = 0
         for _ in pairs(strings.split and strings) do names = names + 1 end
         assert(names >= 4)",
    );
}
