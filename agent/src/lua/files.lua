-- Runs once in every state of the service, after the prelude: what the standard libraries may do to
-- files. Is given the host's `check_file(path, writes)`, which answers with a message or nothing.
local check_file = ...
local open, kind, close = io.open, io.type, io.close
local input, output, tmpfile = io.input, io.output, io.tmpfile
local remove, rename = os.remove, os.rename
local error, pairs, type, collectgarbage = error, pairs, type, collectgarbage

-- The most files that a script has open: the service has a few thousand for everybody.
local OPEN_MAX = 64
local REFUSED, TOO_MANY = 13, 24
local handles = setmetatable({}, {__mode = "k"})

local function is_full()
  local count = 0
  for handle in pairs(handles) do
    if kind(handle) == "file" then count = count + 1 else handles[handle] = nil end
  end
  return count >= OPEN_MAX
end

local function keep(handle, ...)
  if handle then handles[handle] = true end
  return handle, ...
end

local function opened(with, ...)
  if is_full() then
    -- What is not used any more is only closed when it is collected.
    collectgarbage()
    if is_full() then return nil, "too many open files (" .. OPEN_MAX .. ")", TOO_MANY end
  end
  return keep(with(...))
end

function io.open(path, mode)
  if type(path) == "string" then
    local writes = type(mode) == "string" and mode:find("[wa+]") ~= nil
    local message = check_file(path, writes)
    if message then return nil, message, REFUSED end
  end
  return opened(open, path, mode)
end

function io.tmpfile() return opened(tmpfile) end

-- Line by line; the file is closed at its end.
function io.lines(path, ...)
  if path == nil then return input():lines(...) end
  local file, message = io.open(path)
  if not file then error(message, 2) end
  local formats = {...}
  return function()
    local line = file:read(unpack(formats))
    if line == nil then close(file) end
    return line
  end
end

local function redirected(with, mode)
  return function(file)
    if type(file) ~= "string" then return with(file) end
    local handle, message = io.open(file, mode)
    if not handle then error(message, 2) end
    return with(handle)
  end
end

io.input, io.output = redirected(input, "r"), redirected(output, "w")

function os.remove(path)
  local message = type(path) == "string" and check_file(path, true)
  if message then return nil, message, REFUSED end
  return remove(path)
end

function os.rename(from, to)
  local message = type(from) == "string" and check_file(from, true)
    or type(to) == "string" and check_file(to, true)
  if message then return nil, message, REFUSED end
  return rename(from, to)
end
