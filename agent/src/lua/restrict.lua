-- Runs once in every new state, before anything else. Takes away what would let a script escape its
-- deadline or break the process, and returns the function that flushes the standard output. Is given
-- a function that says whether the deadline has passed.
local is_over = ...

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
local load, loadfile, searchpath, error = load, loadfile, package.searchpath, error

function _G.load(chunk, name, _, ...)
  return load(chunk, name, "t", ...)
end

loadstring = _G.load

function _G.loadfile(file, _, ...)
  return loadfile(file, "t", ...)
end

function dofile(file)
  local main, message = loadfile(file, "t")
  if not main then error(message, 0) end
  return main()
end

package.loaders[2] = function(name)
  local path, tried = searchpath(name, package.path)
  if not path then return tried end
  local main, message = loadfile(path, "t")
  if main then return main end
  error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. message, 0)
end

-- The handler of an error that a hook raises runs inside that hook, so no hook would stop it.
local xpcall, type = xpcall, type

function _G.xpcall(f, handler, ...)
  if type(handler) ~= "function" then return xpcall(f, handler, ...) end
  return xpcall(f, function(message)
    if is_over() then return message end
    return handler(message)
  end, ...)
end

local output = io.stdout
local flush = output.flush

return function() return flush(output) end
