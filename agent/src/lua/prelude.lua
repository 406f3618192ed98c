-- Runs once in every new state, before anything else. Takes away what would let a script escape its
-- limits or break the process, makes waiting possible everywhere, and returns what the host needs of
-- the engine. Is given a table of the host's: `is_over` says whether the turn is over, `block` waits
-- where nothing can pause, `built_in` gives name and text of a shipped module, `service` whether this is the service and not a script run by hand.
local host = ...
local is_over, block, built_in = host.is_over, host.block, host.built_in
-- Everything that a function below uses is kept here: a script may replace globals, methods of
-- strings and the environment of any function written in Lua, and must change nothing by that.
local error, pcall, type, select, setmetatable = error, pcall, type, select, setmetatable
local package, concat = package, table.concat

-- A compiled loop never reaches an instruction hook, so it could not be stopped.
jit.off()
assert(not jit.status(), "the compiler is on")
jit = nil
for name in pairs(package.loaded) do
  if name:find("^jit") or name == "ffi" then package.loaded[name] = nil end
end
for name in pairs(package.preload) do package.preload[name] = nil end

-- A finalizer runs without hooks; only a proxy can have one.
newproxy = nil

-- Byte code is not verified when it is loaded and can do anything to the process: text only.
local load = load
-- What reads files, which the service guards; see files.lua.
local files = {loadfile = loadfile, searchpath = package.searchpath}

-- The engine would call the reader from C, once inside the other without end, and as itself.
local function collect(reader)
  local pieces, count = {}, 0
  while true do
    local piece = reader()
    if piece == nil or piece == "" then return concat(pieces) end
    if type(piece) ~= "string" and type(piece) ~= "number" then
      error("reader function must return a string", 0)
    end
    count = count + 1
    pieces[count] = piece
  end
end

function _G.load(chunk, name, _, ...)
  if type(chunk) ~= "function" then return load(chunk, name, "t", ...) end
  local ok, text = pcall(collect, chunk)
  if not ok then return nil, text end
  if name == nil then name = "=(load)" end
  return load(text, name, "t", ...)
end

loadstring = _G.load

function _G.loadfile(file, _, ...)
  return files.loadfile(file, "t", ...)
end

function dofile(file)
  local main, message = files.loadfile(file, "t")
  if not main then error(message, 0) end
  return main()
end

-- `require` in Lua, because a module that the engine's own loads could not wait.
local loaded, preload = package.loaded, package.preload
local loading = {}
package.loaders, package.loadlib, package.cpath = nil, nil, ""

function require(name)
  if type(name) ~= "string" then
    error("bad argument #1 to require (string expected, got " .. type(name) .. ")", 2)
  end
  local module = loaded[name]
  if module == loading then error("loop or previous error loading module '" .. name .. "'", 2) end
  if module then return module end
  local main = preload[name]
  local path, tried, text, message
  if not main then
    path, tried = files.searchpath(name, package.path)
    if not path then
      -- What is built in comes last, so that every file can take its place.
      path, text = built_in(name)
    end
    if not path then
      error("module '" .. name .. "' not found:\n\tno field package.preload['" .. name .. "']" .. tried, 2)
    end
    if text then
      main, message = load(text, "@" .. path, "t")
    else
      main, message = files.loadfile(path, "t")
    end
    if not main then
      error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. message, 2)
    end
  end
  loaded[name] = loading
  local result = main(name)
  if result ~= nil then loaded[name] = result end
  if loaded[name] == loading then loaded[name] = true end
  return loaded[name]
end

-- The engine repeats nothing a thousand million times without looking at a limit.
local rep = string.rep

function string.rep(text, times, ...)
  if text == "" and select("#", ...) == 0 then return "" end
  return rep(text, times, ...)
end

-- Waiting: a function of the library that has to wait leaves a future with the host and yields
-- `pending` to it. Between the two there may be coroutines of the script's own; each of them passes
-- `pending` on, and the answer back, without its maker seeing either.
local pending = {}
local create, resume, running, yield = coroutine.create, coroutine.resume, coroutine.running, coroutine.yield
local can_pause = coroutine.isyieldable
local roots = setmetatable({}, {__mode = "k"})

-- Coroutines and error handlers inside each other take of the stack of the process, whose end would
-- be that of the process; Lua 5.1 has the same limit. How many are inside each other now is set back
-- when one of them returns or yields, and not by what is inside, which an error may leave out.
local NESTED_MAX = 200
local nested = 0
local too_deep = "C stack overflow (more than " .. NESTED_MAX .. " coroutines inside each other)"
local enter

local function pass(thread, before, ok, first, ...)
  nested = before
  if ok and first == pending then return enter(thread, yield(pending)) end
  return ok, first, ...
end

function enter(thread, ...)
  -- It raises here, before anything is counted.
  if type(thread) ~= "thread" then return resume(thread, ...) end
  local before = nested
  if before >= NESTED_MAX then return false, too_deep end
  nested = before + 1
  return pass(thread, before, resume(thread, ...))
end

local function value(ok, ...)
  if ok then return ... end
  error((...), 0)
end

function coroutine.resume(thread, ...)
  return enter(thread, ...)
end

function coroutine.wrap(f)
  local thread = create(f)
  return function(...) return value(enter(thread, ...)) end
end

function coroutine.yield(...)
  if roots[running()] then error("attempt to yield from outside a coroutine", 2) end
  return yield(...)
end

-- The handler of an error that a hook raises runs inside that hook, so no hook would stop it. It is
-- called from C, and what it raises would be handled by it again, inside itself.
local xpcall = xpcall

local function handled(before, ok, ...)
  nested = before
  if ok then return ... end
  return "error in error handling"
end

function _G.xpcall(f, handler, ...)
  if type(handler) ~= "function" then return xpcall(f, handler, ...) end
  return xpcall(f, function(message)
    if is_over() then return message end
    local before = nested
    if before >= NESTED_MAX then return too_deep end
    nested = before + 1
    return handled(before, pcall(handler, message))
  end, ...)
end

-- The end of every function of the library: its results, or its error at the place of the call.
local function check(ok, ...)
  if ok then return ... end
  error((...), 2)
end

if host.service then
  -- What belongs to the process belongs to everybody in it, and the service starts no program.
  os.exit, os.setlocale = nil, nil
  for name, instead in pairs({execute = "cmd.exec", popen = "cmd.exec"}) do
    local library = name == "popen" and io or os
    library[name] = function()
      error("a plugin starts no program itself; use " .. instead, 2)
    end
  end
end

-- The metatable of files is reached by `getmetatable` and by its own `__index`, and what a script
-- put there as `__gc` would run without hooks. Its methods are there to be looked at and added to.
local output = io.stdout
local flush = output.flush
do
  local meta = getmetatable(output)
  local methods = {}
  for name, method in pairs(meta) do
    if not name:find("^__") then methods[name] = method end
  end
  meta.__index, meta.__metatable = methods, {__index = methods}
end

return {
  files = files,

  flush = function() return flush(output) end,

  -- Makes a function of the library out of one that returns a success and then results or a message.
  plain = function(f)
    return function(...) return check(f(...)) end
  end,

  -- The same for one that leaves a future with the host.
  waiting = function(f)
    return function(...)
      local ok, message = f(...)
      if not ok then error(message, 2) end
      if can_pause() then return check(yield(pending)) end
      return check(block())
    end
  end,

  -- The bottom of every thread that the host resumes.
  start = function(f, ...)
    roots[running()] = true
    nested = 0
    return f(...)
  end,

  is_pending = function(value) return value == pending end,
}
