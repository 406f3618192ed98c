//! What a script can and cannot do to the state and its limits.

use std::time::Duration;

use super::{ExecError, Fault, Limits, SCRIPT_MAX, ScriptError, State, run_file};
use crate::model::Clock;

const LIMIT: Duration = Duration::from_millis(50);

fn state(time: Option<Duration>) -> State {
    let limits = Limits {
        memory: 16 * 1_048_576,
        time,
    };
    State::new(Clock::System, limits).unwrap()
}

fn run(source: &str) -> Result<(), ScriptError> {
    state(None).execute("script.lua", source.as_bytes())
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
        let state = state(Some(LIMIT));
        let error = state.execute("script.lua", source.as_bytes()).unwrap_err();
        assert_eq!(error.fault, Fault::Time(LIMIT), "{source}");
        assert_eq!(error.line, Some(2), "{source}");
        assert_eq!(
            error.to_string(),
            "script.lua:2: stopped, it ran longer than 0.05 s"
        );
        let took = clock.now().since(before);
        assert!(took >= LIMIT && took < Duration::from_secs(5), "{took:?}");
        // The state is as good as new.
        state.execute("next.lua", b"assert(1 + 1 == 2)").unwrap();
    }
}

#[test]
fn a_script_in_time_is_left_alone() {
    let state = state(Some(Duration::from_mins(1)));
    let source = b"local x = 0 for i = 1, 1e5 do x = x + i end assert(x == 5000050000)";
    state.execute("script.lua", source).unwrap();
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
         assert(here.source == 'script.lua' and here.short_src == 'script.lua')
         assert(here.what == 'main' and here.currentline == 1)
         local function named() local info = debug.getinfo(1, 'nlf') return info end
         local info = named()
         assert(info.name == 'named' and info.namewhat == 'local' and info.func == named)
         assert(info.currentline == 4 and info.source == nil)
         local info = debug.getinfo(named)
         assert(info.linedefined == 4 and info.currentline == -1 and info.nups == 0)
         assert(debug.getinfo(print).what == 'C' and debug.getinfo(print).currentline == -1)
         assert(debug.getinfo(100) == nil and debug.getinfo(-1) == nil)
         assert(not pcall(debug.getinfo, 'x') and not pcall(debug.getinfo))
         assert(coroutine.wrap(function() local i = debug.getinfo(1) return i.currentline end)() == 13)
         assert(debug.traceback('m'):find('^m\\nstack traceback:\\n\\tscript.lua:14:'))
         local t = {} assert(debug.traceback(t) == t)
         assert(select(2, xpcall(error, debug.traceback)) == nil)")
    .unwrap();
}

#[test]
fn an_error_names_the_script_and_the_line() {
    let long = format!("/{}/script.lua", "directory/".repeat(20));
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
        ] {
            let error = state(None).execute(name, source.as_bytes()).unwrap_err();
            assert_eq!(error.script, name);
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
    let state = state(None);
    let error = run_file(&state, "/dev/zero".as_ref()).unwrap_err();
    assert!(matches!(error, ExecError::TooLong(_)), "{error:?}");
    let directory = tempfile::tempdir().unwrap();
    let error = run_file(&state, directory.path()).unwrap_err();
    assert!(matches!(error, ExecError::Open { .. }), "{error:?}");
    let longest = directory.path().join("longest.lua");
    let size = usize::try_from(SCRIPT_MAX).unwrap();
    std::fs::write(&longest, vec![b'\n'; size]).unwrap();
    run_file(&state, &longest).unwrap();
}
