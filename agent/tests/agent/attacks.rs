//! What a hostile plugin can do to the others and to the agent at default limits: nothing.

use crate::place::{Place, eventually};
use crate::plugins::{is, page, place, save};

/// Each with words of the reason that its page must show, where there is only one. The first twelve are those of the table
/// of attacks; the rest are ways out of the process and past its limits.
const ATTACKS: &[(&str, &str, &str)] = &[
    ("spin", "while true do end", "without a pause"),
    (
        "coroutine",
        "coroutine.wrap(function() while true do end end)()",
        "without a pause",
    ),
    (
        "pcall",
        "local function spin() while true do end end while true do pcall(spin) end",
        "without a pause",
    ),
    (
        "pcall_coroutine",
        "coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()",
        "without a pause",
    ),
    (
        "gsub",
        "string.gsub(('x'):rep(1e5), 'x', function() while true do end end)",
        "without a pause",
    ),
    (
        "sort",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "without a pause",
    ),
    (
        "xpcall",
        "xpcall(error, function() while true do end end)",
        "without a pause",
    ),
    (
        "pattern",
        "string.find(('a'):rep(200), ('a*'):rep(12) .. 'b')",
        "",
    ),
    ("rep", "local s = ('x'):rep(2^30)", "not enough memory"),
    (
        "table",
        "local t = {} while true do t[#t + 1] = {} end",
        "not enough memory",
    ),
    (
        "pcall_memory",
        "while true do pcall(function() local t = {} while true do t[#t + 1] = ('x'):rep(1e5) .. #t end end) end",
        "",
    ),
    (
        "bytecode",
        "assert(load(string.dump(function() end), 'x', 'b'))",
        "wrong mode",
    ),
    ("finalizer", "newproxy(true)", "newproxy"),
    (
        "popen",
        "io.popen('touch /tmp/never')",
        "a plugin starts no program itself",
    ),
    (
        "execute",
        "os.execute('true')",
        "a plugin starts no program itself",
    ),
    ("exit", "os.exit(0)", "exit"),
    // Recursion through what is not Lua, which would end with the stack of the process.
    (
        "nested_coroutines",
        "local function f() return coroutine.wrap(f)() end f()",
        "C stack overflow",
    ),
    (
        "nested_resumes",
        "local function f() return coroutine.resume(coroutine.create(f)) end f() error('went deep')",
        "went deep",
    ),
    (
        "nested_loads",
        "local function f() return assert(load(function() f() end)) end f()",
        "",
    ),
    (
        "nested_formats",
        "local t t = setmetatable({}, {__tostring = function() return ('%s'):format(t) .. '' end}) tostring(t)",
        "stack overflow",
    ),
    (
        "nested_prints",
        "local t t = setmetatable({}, {__tostring = function() print(t) return '' end}) print(t)",
        "stack overflow",
    ),
    (
        "nested_errors",
        "error(setmetatable({}, {__tostring = function(t) error(t) end}))",
        "",
    ),
    (
        "nested_sorts",
        "local function f() table.sort({2, 1}, f) end f()",
        "stack overflow",
    ),
    (
        "nested_handlers",
        "local function f() xpcall(error, f) error('went deep') end f()",
        "went deep",
    ),
    (
        "nested_collectors",
        "local m = {} m.__index = function() return prometheus_gauge.new(setmetatable({}, m)) end
         assert(prometheus_gauge.new(setmetatable({}, m))) error('asked nobody')",
        "asked nobody",
    ),
    (
        "nested_times",
        "local m = {} m.__index = function() return os.time(setmetatable({}, m)) end os.time(setmetatable({}, m))",
        "stack overflow",
    ),
    // Ways round the guard of files.
    (
        "zero_byte",
        "assert(io.open('/proc/self/mem\\0/x', 'r+'))",
        "zero byte",
    ),
    (
        "replaced_find",
        "string.find = function() end assert(io.open('/etc/moonward-never', 'w'))",
        "a plugin writes below",
    ),
    (
        "hidden_load",
        "local raw load(function() raw = debug.getinfo(2, 'f').func end)
         assert(raw, 'nothing there') raw(string.dump(function() end), 'x', 'b')()",
        "nothing there",
    ),
    (
        "hidden_xpcall",
        "local raw xpcall(function() raw = debug.getinfo(2, 'f').func end, print)
         raw(error, function() while true do end end)",
        "attempt to call local 'raw'",
    ),
    // C that no hook reaches.
    (
        "file_finalizer",
        "local f = io.open('/dev/null') local spin = function() while true do end end
         getmetatable(f).__gc = spin getmetatable(f).__index.__gc = spin
         assert(not f.__index) f = nil collectgarbage() collectgarbage() error('collected')",
        "collected",
    ),
    (
        "sort_of_long_texts",
        "local a = ('x'):rep(4e6) .. 'a' collectgarbage() local b = ('x'):rep(4e6) .. 'b' collectgarbage()
         local t = {} for i = 1, 1e5 do t[i] = i % 2 == 0 and a or b end table.sort(t)",
        "without a pause",
    ),
    (
        "endless_file",
        "assert(io.open('/dev/zero')):read('*l')",
        "is no regular file",
    ),
    ("endless_script", "assert(loadfile('/dev/zero'))", "is no regular file"),
    (
        "endless_digits",
        "local name = os.tmpname() local f = io.open(name, 'w') local s = ('1'):rep(1e6)
         for i = 1, 64 do f:write(s) end f:close() f = io.open(name)
         local number = f:read('*n') f:close() os.remove(name) error(tostring(number))",
        "1.1111111111111e+199",
    ),
];

/// The longest that a run of an attack may last, in seconds. Half a second is the limit of a turn;
/// the rest is for a machine that does other things, where only what was computed counts.
const ALONE: f64 = 10.0;
const TOGETHER: f64 = 60.0;

/// The longest pause of a plugin that runs ten times a second, in seconds, on such a machine.
const PAUSE: f64 = 5.0;

/// A place with a plugin that keeps pace and says how long it once had to wait.
fn peaceful() -> Place {
    let place = place("");
    save(
        &place,
        "peaceful.lua",
        "local runs, last, longest = 0, nil, 0
         plugin.every(0.1, function()
           local now = time.unix_nano() / 1e9
           if last then longest = math.max(longest, now - last) end
           last, runs = now, runs + 1
           metrics.set('runs', runs)
           metrics.set('longest', longest)
         end)",
    );
    place
}

fn number(place: &Place, key: &str) -> f64 {
    place.get(key).parse().unwrap()
}

/// Waits until the attack was ended; the agent answers all the while.
fn contained(place: &Place, name: &str, words: &str, limit: f64) {
    let failed = eventually(|| {
        number(place, "runs");
        is(place, name, "failed")
    });
    assert!(failed, "{name}: {:?}", page(place, name));
    let page = page(place, name).unwrap();
    let reason = page["reason"].as_str().unwrap();
    assert!(reason.contains(words), "{name}: {reason}");
    let seconds = page["total_seconds"].as_f64().unwrap() / page["errors"].as_f64().unwrap();
    assert!(seconds < limit, "{name} ran for {seconds} s: {page}");
}

fn at_peace(place: &Place) {
    let runs = number(place, "runs");
    assert!(
        eventually(|| number(place, "runs") > runs + 3.0),
        "the others stand still"
    );
    let longest = number(place, "longest");
    assert!(longest < PAUSE, "others waited for {longest} s");
    assert!(is(place, "peaceful", "active"));
}

#[test]
fn every_attack_is_contained() {
    let place = peaceful();
    let agent = place.start();
    assert!(eventually(|| place.ask(&["get", "runs"]).status.success()));
    for (name, source, words) in ATTACKS {
        let path = save(&place, &format!("{name}.lua"), source);
        contained(&place, name, words, ALONE);
        std::fs::remove_file(path).unwrap();
        assert!(eventually(|| page(&place, name).is_none()), "{name}");
    }
    at_peace(&place);
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn all_attacks_at_once_are_contained() {
    let place = peaceful();
    let agent = place.start();
    assert!(eventually(|| place.ask(&["get", "runs"]).status.success()));
    for (name, source, _) in ATTACKS {
        save(&place, &format!("{name}.lua"), source);
    }
    for (name, _, words) in ATTACKS {
        contained(&place, name, words, TOGETHER);
    }
    at_peace(&place);
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
}
