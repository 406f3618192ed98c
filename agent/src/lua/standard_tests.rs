//! What the standard libraries do for scripts that ask too much of them.

use std::time::Duration;

use crate::lua::testing::{LIMITS, Stage};
use crate::lua::{Fault, Limits};

/// Each calls itself through something of the engine's or the host's, without an end.
const RECURSIONS: &[&str] = &[
    "local function f() return coroutine.wrap(f)() end f()",
    "local function f() return assert(coroutine.resume(coroutine.create(f))) end f()",
    "local function f() return pcall(coroutine.wrap(f)) and error('deep') end f() error('deep')",
    "local function f() return assert(load(function() f() end)) end f()",
    "local function f() return assert(load(coroutine.wrap(function() f() end))) end f()",
    "local t t = setmetatable({}, {__tostring = function() return string.format('%s', t) .. '' end}) tostring(t)",
    "local t t = setmetatable({}, {__tostring = function() return ('%-5.3q'):format(t) .. '' end}) tostring(t)",
    "local t t = setmetatable({}, {__tostring = function() print(t) return '' end}) print(t)",
    "local t t = setmetatable({}, {__tostring = function() return tostring(t) .. '' end}) tostring(t)",
    "local t t = setmetatable({}, {__tostring = function(t) error(t) end}) error(t)",
    "local t t = setmetatable({}, {__tostring = function(t) pcall(error, t) return (tostring(t)) end}) error(t)",
    "local function f() table.sort({1, 2, 3}, function(a, b) f() return a < b end) end f()",
    "local m = {} m.__lt = function(a, b) table.sort({a, b}) return true end
     table.sort({setmetatable({}, m), setmetatable({}, m)})",
    "local function f() string.gsub('x', 'x', f) return 'x' end f()",
    "local function f() for _ in string.gmatch('x', 'x') do f() end end f()",
    "local function f() table.foreach({1}, f) return nil end f()",
    "local function f() table.foreachi({1}, f) return nil end f()",
    "local function f() xpcall(error, function() f() error('deep') end) error('deep') end f()",
    "local function f() xpcall(error, f) error('deep') end f()",
    "local function f() xpcall(error, coroutine.wrap(f)) error('deep') end f()",
    "local function f() xpcall(coroutine.wrap(f), f) error('deep') end f()",
    "local function f() xpcall(f, f) error('deep') end f()",
    "local function f() xpcall(coroutine.wrap(function() xpcall(error, f) end), f) error('deep') end f()",
    "local m = {} m.__index = function() return os.time(setmetatable({}, m)) end os.time(setmetatable({}, m))",
    "local n = 0 local function f() n = n + 1 module('m' .. n, f) end f()",
    "local m = {} m.__newindex = function(t) package.seeall(setmetatable({}, setmetatable({}, m))) end
     package.seeall(setmetatable({}, setmetatable({}, m)))",
    "local n = 0 local function f() n = n + 1 package.preload['m' .. n] = f require('m' .. n) return n end f()",
    "local m = {} m.__index = function(t, k) return t[k .. 'x'] .. '' end local x = setmetatable({}, m).x",
    "local m = {} m.__eq = function(a, b) return not (a == b) end local x = setmetatable({}, m) == setmetatable({}, m)",
    "local m = {} m.__concat = function(a, b) return '' .. (a .. b) end local x = setmetatable({}, m) .. 'x'",
    "local function f() return f() .. '' end f()",
];

/// What a table of each of them says of itself is a call of the function that looks at it.
const LIBRARY: &[&str] = &[
    "prometheus_gauge.new(trap)",
    "prometheus_gauge_labels.new(trap)",
    "prometheus_gauge_labels.new({name = 'a', labels = trap})",
    "prometheus_gauge_labels.new({name = 'b', labels = {trap}})",
    "prometheus_counter.new(trap)",
    "prometheus_counter_labels.new(trap)",
    "json.encode(trap)",
    "json.encode({[trap] = trap})",
    "yaml.decode(trap)",
    "metrics.set('a', trap)",
    "metrics.set('a', 1, trap)",
    "metrics.set({metric = trap, value = trap})",
    "metrics.set('a', 1, {tags = trap})",
    "store.get('a', trap)",
    "store.find(trap)",
    "store.find('a', trap)",
    "http.request(trap)",
    "http.request({url = trap})",
    "http.get('http://127.0.0.1:1/', trap)",
    "http.post('http://127.0.0.1:1/', trap, trap)",
    "cmd.exec(trap)",
    "cmd.exec({trap})",
    "cmd.exec('true', trap)",
    "sqlite.open(trap)",
    "postgres.open(trap)",
    "mysql.open(trap)",
    "window.new(trap)",
    "rate.new(trap)",
    "threshold.new(trap)",
    "hysteresis.new(trap)",
    "tcp.open(trap)",
    "tac.open(trap)",
    "regexp.compile(trap)",
    "plugin.new(trap)",
    "plugin.every(1, trap)",
    "strings.split(trap, trap)",
    "time.parse(trap, trap)",
    "log.info(trap)",
    "probe.counters(trap)",
    "tls_util.cert_not_after(trap)",
    "units.get(trap)",
    "goos.stat(trap)",
    "syscall.statfs(trap)",
    "ioutil.readfile(trap)",
    "filepath.glob(trap)",
    "debug.getinfo(trap)",
    "debug.traceback(trap)",
    "setmetatable(metrics, trap)",
];

#[test]
fn recursion_without_end_is_an_error_of_lua() {
    for memory in [LIMITS.memory, 256 * 1_048_576] {
        let mut stage = Stage::new();
        // Some go on for ever without ever going deeper, or hardly.
        stage.limits = Limits {
            memory,
            time: Some(Duration::from_secs(2)),
            ..LIMITS
        };
        for source in RECURSIONS {
            let error = stage.run(source).unwrap_err();
            let is_limit = matches!(error.fault, Fault::Memory(_) | Fault::Time(_));
            let text = error.to_string();
            let words = [
                "overflow",
                "deep",
                "error handling",
                "invalid value",
                "not enough memory",
            ];
            let is_told = words.iter().any(|words| text.contains(words));
            assert!(
                is_limit || is_told || text.contains("script.lua"),
                "{source}: {text}"
            );
        }
        stage.pass("assert(coroutine.wrap(function() return 1 end)() == 1)");
    }
}

#[test]
fn no_function_of_the_library_asks_an_argument_what_it_says_of_itself() {
    let trap = "local trapped
         local meta = {}
         for _, name in ipairs({'__index', '__newindex', '__tostring', '__len', '__pairs', '__ipairs',
                                '__call', '__eq', '__lt', '__le', '__concat', '__unm', '__name'}) do
           meta[name] = function() trapped = name error('trapped') end
         end
         local trap = setmetatable({}, meta)";
    for call in LIBRARY {
        Stage::new().pass(format!(
            "{trap} pcall(function() {call} end) assert(not trapped, trapped)"
        ));
    }
}

#[test]
fn coroutines_inside_each_other_have_a_limit_that_is_kept() {
    Stage::new().pass(
        "local function deep(n)
           if n == 0 then return 'bottom' end
           return coroutine.wrap(deep)(n - 1)
         end
         assert(deep(190) == 'bottom')
         for i = 1, 1000 do
           local ok, message = pcall(deep, 250)
           assert(not ok and message:find('C stack overflow'), message)
           assert(not pcall(coroutine.resume) and not pcall(coroutine.resume, 1))
           assert(not coroutine.resume(coroutine.create(error)))
         end
         assert(deep(190) == 'bottom')
         for i = 1, 1000 do
           local ok, message = xpcall(error, function(text) error('again') end, 'first')
           assert(not ok and message == 'error in error handling', message)
           assert(select(2, xpcall(error, function(text) return text .. '!' end, 'first')) == 'first!')
         end
         -- One that was resumed deep below goes on above, and the other way round.
         local function waits(n)
           if n == 0 then time.sleep(0) coroutine.yield('up') time.sleep(0) return 'bottom' end
           return coroutine.wrap(waits)(n - 1)
         end
         for i = 1, 3 do
           local thread = coroutine.wrap(waits)
           assert(thread(150) == 'up')
         end
         local kept = {}
         local function down(n)
           kept[n] = coroutine.create(function() coroutine.yield() xpcall(coroutine.yield, print) return deep(150) end)
           coroutine.resume(kept[n])
           if n > 1 then coroutine.wrap(down)(n - 1) end
         end
         down(100)
         for n = 1, 100 do
           assert(coroutine.resume(kept[n]))
           local ok, result = coroutine.resume(kept[n])
           assert(ok and result == 'bottom', result)
         end",
    );
}

#[test]
fn sort_does_what_the_manual_says() {
    Stage::new().pass(
        "local function is_sorted(list, less)
           for i = 2, #list do assert(not less(list[i], list[i - 1])) end
         end
         local function below(a, b) return a < b end
         local function above(a, b) return a > b end
         math.randomseed(7)
         for n = 0, 200 do
           local list, sum = {}, 0
           for i = 1, n do list[i] = math.random(1, 50) sum = sum + list[i] end
           table.sort(list) is_sorted(list, below)
           table.sort(list, above) is_sorted(list, above)
           for i = 1, n do sum = sum - list[i] end
           assert(sum == 0 and #list == n)
         end
         local words = {'b', 'a', 'C', ''} table.sort(words)
         assert(table.concat(words, ',') == ',C,a,b')
         -- Equals stay in their order, and an error leaves everything where it was.
         local pairs = {}
         for i = 1, 100 do pairs[i] = {key = i % 3, at = i} end
         table.sort(pairs, function(a, b) return a.key < b.key end)
         for i = 2, 100 do
           local one, other = pairs[i - 1], pairs[i]
           assert(one.key < other.key or one.key == other.key and one.at < other.at)
         end
         local list = {3, 2, 1}
         assert(not pcall(table.sort, list, function() error('no') end))
         assert(list[1] == 3 and list[2] == 2 and list[3] == 1)
         table.sort({3, 1, 2}, function() return true end)
         local ok, message = pcall(function() table.sort({1, 'a'}) end)
         assert(message:find('script.lua:%d+: attempt to compare %a+ with %a+'), message)
         local ok, message = pcall(function() table.sort(1) end)
         assert(message:find(\"script.lua:%d+: bad argument #1 to 'sort' %(table expected, got number%)\"), message)
         local ok, message = pcall(function() table.sort({}, {}) end)
         assert(message:find('function expected, got table'), message)
         local mark = {__lt = function(a, b) time.sleep(0) return a.n < b.n end}
         local list = {setmetatable({n = 2}, mark), setmetatable({n = 1}, mark)}
         table.sort(list) assert(list[1].n == 1)
         -- What a quicksort takes a square for.
         local calls, n = 0, 4096
         local list = {} for i = 1, n do list[i] = i % 2 end
         table.sort(list, function(a, b) calls = calls + 1 return a < b end)
         assert(calls < n * 13, calls)",
    );
}

#[test]
fn a_sort_can_be_stopped_and_can_wait() {
    let limit = Duration::from_millis(50);
    for source in [
        "local a = ('x'):rep(1e6) .. 'a' local b = ('x'):rep(1e6) .. 'b'
         local t = {} for i = 1, 1e4 do t[i] = i % 2 == 0 and a or b end
         while true do table.sort(t) end",
        "local t = {} for i = 1, 1e5 do t[i] = -i end while true do table.sort(t) end",
    ] {
        let mut stage = Stage::new();
        stage.limits = Limits {
            time: Some(limit),
            ..LIMITS
        };
        assert_eq!(stage.run(source).unwrap_err().fault, Fault::Time(limit));
    }
}

#[test]
fn format_and_print_and_load_do_what_the_manual_says() {
    Stage::new().pass(
        "local named = setmetatable({}, {__tostring = function() time.sleep(0) return 'named' end})
         local number = setmetatable({}, {__tostring = function() return 7 end})
         local wrong = setmetatable({}, {__tostring = function() return {} end})
         assert(('%s|%5.2s|%q|%%|%d'):format(named, named, named, 3) == 'named|   na|\"named\"|%|3')
         assert(('%s'):format(number) == '7' and ('%5s'):format('x') == '    x')
         assert(('%s %s'):format(nil, true) == 'nil true' and ('%s'):format({}):find('^table: '))
         assert(('%s'):format(io.stdout):find('^file ') and string.format(12) == '12')
         assert(('%d %s'):format(3, named) == '3 named')
         assert(not pcall(string.format, '%s') and not pcall(string.format, '%s', wrong))
         local ok, message = pcall(function() local _ = ('%d'):format({}) end)
         assert(message:find('script.lua:%d+: bad argument #%d to .*number expected, got table'), message)
         assert(not pcall(string.format, {}, {}))
         print('a', 1, nil, named)
         assert(not pcall(print, wrong))
         local parts = {'return ', 4, '2', '', 'never'}
         local at = 0
         assert(load(function() at = at + 1 time.sleep(0) return parts[at] end)() == 42)
         assert(load(function() end)() == nil)
         local main, message = load(function() error('no more', 0) end)
         assert(main == nil and message == 'no more')
         local main, message = load(function() return {} end)
         assert(main == nil and message:find('must return a string'), message)
         local at = 0
         local main, message = load(function() at = at + 1 return ({'x x'})[at] end)
         assert(main == nil and message:find('^%[?\"?=?%(?load%)?'), message)
         assert(os.time({year = 2020, month = 1, day = 1, hour = 12}) > 1577000000)
         assert(os.time(setmetatable({}, {__index = os.date('*t', 86400)})) == 86400 and os.time() > 1577000000)
         local ok, message = pcall(function() os.time({}) end)
         assert(message:find(\"script.lua:%d+: field 'day' missing in date table\"), message)
         local env = {}
         local function make() module('one.two', package.seeall) answer = 42 kind = type(answer) end
         make()
         assert(one.two.answer == 42 and one.two.kind == 'number' and one.two._PACKAGE == 'one.')
         assert(require('one.two') == one.two and one.two._NAME == 'one.two')",
    );
}

#[test]
fn the_engines_own_functions_stay_hidden() {
    Stage::new().pass(
        "local function look(level)
           local info = debug.getinfo(level, 'fS')
           return info and info.func, info
         end
         local seen = {}
         local function note() for level = 1, 12 do
           local f, info = look(level)
           if f then assert(info.what ~= 'C' and info.source:find('script.lua') or f == table.foreach, info.source) seen[f] = true end
         end end
         load(note) pcall(note) xpcall(note, note) xpcall(error, note) coroutine.wrap(note)()
         table.sort({2, 1}, function(a, b) note() return a < b end)
         string.gsub('x', 'x', note) table.foreach({1}, note) tostring(setmetatable({}, {__tostring = function() note() return '' end}))
         string.format('%s', setmetatable({}, {__tostring = function() note() return '' end}))
         print(setmetatable({}, {__tostring = function() note() return '' end}))
         package.preload.p = note require('p')
         assert(next(seen))
         for f in pairs(seen) do assert(debug.getinfo(f).what ~= 'C') end
         assert(debug.getinfo(print, 'f').func == print)
         assert(debug.getinfo(1, 'f').func)",
    );
}

#[test]
fn the_metatable_of_files_is_out_of_reach() {
    Stage::new().pass(
        "assert(io.stdout.__index == nil and io.stdout.__gc == nil and getfenv(io.type) == _G)
         local meta = getmetatable(io.stdout)
         local ran
         for _, place in ipairs({meta, meta.__index, getfenv(io.close)}) do
           place.__gc = function() ran = true end
           place.__index = place.__index or place
         end
         assert(not pcall(setmetatable, io.stdout, {}) and not pcall(setfenv, io.type, {}))
         for i = 1, 10 do io.open('/dev/null') end
         collectgarbage() collectgarbage()
         assert(not ran)
         meta.__index.shout = function(file) return 'shouted' end
         assert(io.stdout:shout() == 'shouted' and io.type(io.stdout) == 'file' and tostring(io.stdout):find('^file'))",
    );
}

#[test]
fn nothing_that_a_script_replaces_opens_the_guard() {
    Stage::new().pass(
        "local names, all = {'_G', 'package', 'metrics'}, {}
         local G, assert, pcall, pairs, type = _G, assert, pcall, pairs, type
         local open, remove, rename, lines, load, loadfile, find = io.open, os.remove, os.rename, io.lines, load, loadfile, string.find
         local code = string.dump(function() end)
         local function yes() return true end
         for _, f in ipairs({open, remove, rename, lines, load, loadfile, require, io.read, table.sort}) do
           setfenv(f, {})
         end
         getmetatable('').__index = {}
         for name, library in pairs({string = string, table = table, io = io, os = os, coroutine = coroutine, debug = debug, package = package}) do
           for key in pairs(library) do if key ~= 'loaded' then library[key] = yes end end
         end
         for key in pairs(G) do if key ~= '_G' then G[key] = yes end end
         local file, message = open('/etc/moonward-test', 'w')
         assert(not file and find(message, 'writes below /tmp'), message)
         file, message = open('/proc/self/mem', 'r+')
         assert(not file and find(message, 'part of the service'), message)
         assert(not remove('/etc/hostname') and not rename('/etc/hostname', '/tmp/x'))
         assert(not pcall(lines, '/proc/self/environ'))
         file, message = load(code)
         assert(not file and find(message, 'wrong mode'), message)
         assert(not loadfile('/proc/self/environ'))",
    );
}

#[test]
fn the_service_opens_regular_files_and_the_null_device_alone() {
    let stage = Stage::new();
    let pipe = stage.directory.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    std::os::unix::fs::symlink(
        "/etc/moonward-made",
        stage.directory.path().join("dangling"),
    )
    .unwrap();
    std::os::unix::fs::symlink("/etc/hostname", stage.directory.path().join("link")).unwrap();
    stage.pass(format!(
        "local here = '{here}/'
         for path, words in pairs({{['/dev/zero'] = 'no regular file', [here .. 'pipe'] = 'no regular file',
                                   ['/dev/tty'] = '', ['/tmp'] = 'Is a directory', ['/'] = 'Is a directory',
                                   ['/proc/self/mem\\0/x'] = 'zero byte', ['/proc/self/environ\\0'] = 'zero byte'}}) do
           for _, mode in ipairs({{'r', 'r+'}}) do
             local file, message, code = io.open(path, mode)
             assert(not file and type(code) == 'number', path)
             assert(mode == 'r+' or message:find(words), path .. ' ' .. message)
           end
           assert(not pcall(io.lines, path) and not pcall(io.input, path))
           local main, message = loadfile(path)
           assert(not main and message:find('cannot open'), path)
           assert(not pcall(dofile, path) and not package.searchpath('x', path))
         end
         for _, path in ipairs({{'/etc/x\\0/tmp/x', '/tmp/x\\0y', '\\0'}}) do
           assert(not io.open(path, 'w') and not os.remove(path) and not os.rename(path, here .. 'a'))
           assert(not os.rename(here .. 'a', path) and not ioutil.readfile(path) and not pcall(tac.open, path))
           assert(not pcall(sqlite.open, {{path = path, create = true, writable = true}}) or true)
         end
         local null = assert(io.open('/dev/null')) assert(null:read('*a') == '') null:close()
         null = assert(io.open('/dev/null', 'w')) null:write('x') null:close()
         -- A link to nothing makes no file where it leads to, and goes like any other.
         local file, message, code = io.open(here .. 'dangling', 'w')
         assert(not file and code == 17, message)
         assert(not io.open(here .. 'link', 'w') and io.open(here .. 'link'))
         assert(os.remove(here .. 'dangling') and os.remove(here .. 'link') and os.remove(here .. 'pipe'))
         for _, mode in ipairs({{'', 'x', 'rw', 'wx', 'r,ccs=UTF-16', 'r\\0', '+'}}) do
           local file, message, code = io.open(here .. 'script.lua', mode)
           assert(not file and code == 22 and message:find('script.lua: Invalid argument'), mode)
         end
         for _, mode in ipairs({{'w', 'a', 'r+', 'w+', 'a+', 'wb', 'rb+', 'w+b'}}) do
           local file = assert(io.open(here .. 'new', mode), mode)
           assert(file:write('x')) file:close()
         end
         assert(goos.stat(here .. 'new').size == 1)
         local file, message, code = io.open(here .. 'no/new', 'w')
         assert(not file and code == 2 and message == here .. 'no/new: No such file or directory', message)
         assert(os.rename(here .. 'new', here .. 'newer') and os.remove(here .. 'newer'))
         local ok, message, code = os.remove(here .. 'newer')
         assert(not ok and code == 2 and message:find('newer: No such file'), message)
         assert(not pcall(io.open) and not pcall(io.open, {{}}) and not pcall(io.open, '/dev/null', {{}}))
         assert(not pcall(os.remove) and not pcall(loadfile, {{}}) and not pcall(package.searchpath, 'x'))
         assert(package.searchpath('script', here .. '?;' .. here .. '?.lua') == here .. 'script.lua')
         local found, tried = package.searchpath('a.b', here .. '?.lua;/x/?')
         assert(not found and tried == \"\\n\\tno file '\" .. here .. \"a/b.lua'\\n\\tno file '/x/a/b'\", tried)",
        here = stage.directory.path().display(),
    ));
    assert!(!std::path::Path::new("/etc/moonward-made").exists());
}

#[test]
fn numbers_are_read_within_the_memory_of_the_state() {
    let stage = Stage::new();
    let path = stage.directory.path().join("numbers");
    let mut long = vec![b' '; 10_000];
    long.extend(b"12 -0x10\n1e3,inf 7abc . ");
    long.extend(vec![b'1'; 400]);
    std::fs::write(&path, long).unwrap();
    stage.pass(format!(
        "local path = '{}'
         local file = io.open(path)
         assert(file:read('*n') == 12)
         local a, b, c = file:read('n', '*n', 1)
         assert(a == -16 and b == 1000 and c == ',')
         local a, b, c = file:read('*n', '*n', 3)
         assert(a == math.huge and b == 7 and c == 'abc', tostring(c))
         local a, b = file:read('*n', '*l')
         assert(a == nil and b == nil and select('#', file:read('*n', '*l')) == 1)
         assert(file:read(2) == '. ')
         assert(file:read('*n') == tonumber(('1'):rep(200)))
         assert(#file:read('*a') == 200 and file:read('*n') == nil)
         file:seek('set')
         assert(file:lines('*n')() == 12)
         io.input(path) assert(io.read('*n') == 12 and io.read('*n', 1) == -16) io.input():close()
         for number in io.lines(path, '*n') do assert(number == 12) break end
         local lines = 0
         for line, more in io.lines(path, '*l', 2) do lines = lines + 1 end
         assert(lines == 2, lines)
         io.input(io.stdin) assert(io.read('*n') == nil)",
        path.display()
    ));
}
