-- Runs once in every state of the service, after the prelude: what the standard libraries may do to
-- files. Is given the host's functions (see files.rs) and what the prelude reads files with.
-- What a function uses is kept here: a script may replace every global and every method.
local host, readers = ...
local open, kind, close = io.open, io.type, io.close
local input, output, tmpfile, read_input = io.input, io.output, io.tmpfile, io.read
local methods = getmetatable(io.stdout).__index
local read, seek, lines = methods.read, methods.seek, methods.lines
local error, pairs, type, select, tonumber = error, pairs, type, select, tonumber
local load, unpack, collectgarbage = load, unpack, collectgarbage
local find, sub, byte = string.find, string.sub, string.byte

-- The most files that a script has open: the service has a few thousand for everybody.
local OPEN_MAX = 64
local TOO_MANY = 24
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

-- What the engine takes for a string.
local function is_text(value) return type(value) == "string" or type(value) == "number" end

local function guarded(path, mode)
  if not is_text(path) or not (mode == nil or is_text(mode)) then return open(path, mode) end
  return opened(host.open, open, path, mode)
end

io.open = guarded

function io.tmpfile() return opened(tmpfile) end

-- C reads the digits of a number into memory of its own before it looks at one, and so does not stop
-- at the limit of the state.
local NUMBER_MAX, BLOCK = 200, 4096

local function number(file)
  local from = seek(file, "cur")
  local at
  repeat
    local block = read(file, BLOCK)
    if not block then return nil end
    at = find(block, "%S")
    from = from and from + (at and at - 1 or #block)
  until at
  if not from or not seek(file, "set", from) then return nil end
  local text = read(file, NUMBER_MAX)
  local _, length = find(text, "^[%w.+-]+")
  length = length or 0
  while length > 0 and not tonumber(sub(text, 1, length)) do length = length - 1 end
  seek(file, "set", from + length)
  return tonumber(sub(text, 1, length))
end

-- Whether one of the formats is `*n`.
local function has_number(...)
  for position = 1, select("#", ...) do
    local format = select(position, ...)
    if type(format) == "string" and byte(format, byte(format) == 42 and 2 or 1) == 110 then
      return true
    end
  end
  return false
end

local function read_each(file, ...)
  local results, count = {}, select("#", ...)
  for position = 1, count do
    local format = select(position, ...)
    local result
    if has_number(format) then result = number(file) else result = read(file, format) end
    results[position] = result
    if result == nil then return unpack(results, 1, position) end
  end
  return unpack(results, 1, count)
end

function methods.read(file, ...)
  if has_number(...) then return read_each(file, ...) end
  return read(file, ...)
end

function io.read(...)
  if has_number(...) then return read_each(input(), ...) end
  return read_input(...)
end

local function each_line(file, ...)
  if not has_number(...) then return lines(file, ...) end
  local formats, count = {...}, select("#", ...)
  return function() return read_each(file, unpack(formats, 1, count)) end
end

methods.lines = each_line

-- Line by line; the file is closed at its end.
function io.lines(path, ...)
  if path == nil then return each_line(input(), ...) end
  local file, message = guarded(path)
  if not file then error(message, 2) end
  local take = each_line(file, ...)
  local function given(first, ...)
    if first == nil then close(file) end
    return first, ...
  end
  return function() return given(take()) end
end

local function redirected(with, mode)
  return function(file)
    if not is_text(file) then return with(file) end
    local handle, message = guarded(file, mode)
    if not handle then error(message, 2) end
    return with(handle)
  end
end

io.input, io.output = redirected(input, "r"), redirected(output, "w")

local remove, rename = os.remove, os.rename

function os.remove(path)
  if not is_text(path) then return remove(path) end
  return host.remove(path)
end

function os.rename(from, to)
  if not is_text(from) or not is_text(to) then return rename(from, to) end
  return host.rename(from, to)
end

-- The standard input of the service is empty.
function readers.loadfile(path, ...)
  if path == nil then return load("", "=stdin", ...) end
  if not is_text(path) then
    error("bad argument #1 to 'loadfile' (string expected, got " .. type(path) .. ")", 3)
  end
  local text, message = host.read(path)
  if not text then return nil, "cannot open " .. message end
  return load(text, "@" .. path, ...)
end

function package.searchpath(name, path, separator, replacement)
  for position, argument in pairs({name, path, separator or "", replacement or ""}) do
    if not is_text(argument) then
      error("bad argument #" .. position .. " to 'searchpath' (string expected, got "
        .. type(argument) .. ")", 2)
    end
  end
  return host.search(name, path, separator, replacement)
end

readers.searchpath = host.search
