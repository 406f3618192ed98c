-- Runs once in every new state, after the prelude: those functions of the standard libraries that
-- call the script back. The engine's are C. One of them inside the other, and so on, would end with
-- the stack of the process and not with an error; nothing can wait or be stopped below them; and a
-- sort of theirs without a comparison of the script's reaches no hook at all.
-- What a function uses is kept here, since a script may replace all globals and methods.
local globals = _G
local error, type, select, tostring = error, type, select, tostring
local pcall, setfenv, getmetatable, setmetatable = pcall, setfenv, getmetatable, setmetatable
local rawget, rawset, unpack, concat = rawget, rawset, unpack, table.concat
local find, byte, gmatch, match = string.find, string.byte, string.gmatch, string.match
local stdout = io.stdout
local write = stdout.write

local function wrong(position, name, wanted, got)
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. wanted .. " expected, got "
    .. type(got) .. ")", 3)
end

-- So many neighbours are put in order by insertion before pairs of runs are merged.
local RUN = 8

-- Puts a list of n in order by merging, and so with n log n comparisons whatever is in it. Works on
-- copies and gives the one that is in order: an error in a comparison leaves the script's as it was.
local function merged(from, n, less)
  local to = {}
  for first = 1, n, RUN do
    local last = first + RUN - 1
    if last > n then last = n end
    for at = first + 1, last do
      local value, place = from[at], at
      while place > first do
        local other = from[place - 1]
        local smaller
        if less then smaller = less(value, other) else smaller = value < other end
        if not smaller then break end
        from[place], place = other, place - 1
      end
      from[place] = value
    end
  end
  local width = RUN
  while width < n do
    for first = 1, n, 2 * width do
      local left, middle, stop = first, first + width, first + 2 * width
      if middle > n + 1 then middle = n + 1 end
      if stop > n + 1 then stop = n + 1 end
      local right = middle
      for at = first, stop - 1 do
        local is_right = left >= middle
        if not is_right and right < stop then
          if less then is_right = less(from[right], from[left]) else is_right = from[right] < from[left] end
        end
        if is_right then
          to[at], right = from[right], right + 1
        else
          to[at], left = from[left], left + 1
        end
      end
    end
    from, to = to, from
    width = 2 * width
  end
  return from
end

function table.sort(list, less)
  if type(list) ~= "table" then wrong(1, "sort", "table", list) end
  if less ~= nil and type(less) ~= "function" then wrong(2, "sort", "function", less) end
  local n = #list
  if n < 2 then return end
  local copy = {}
  for at = 1, n do copy[at] = rawget(list, at) end
  if less then
    copy = merged(copy, n, less)
  else
    local ok, result = pcall(merged, copy, n)
    if not ok then
      -- What cannot be compared is the script's mistake and not this file's.
      local message = type(result) == "string" and match(result, "^standard%.lua:%d+: (.*)")
      if message then error(message, 2) end
      error(result, 0)
    end
    copy = result
  end
  for at = 1, n do rawset(list, at, copy[at]) end
end

-- Arguments of `%s` and `%q` that are objects become what they say of themselves.
local format = string.format

local function spoken(text, ...)
  local values, count = {...}, select("#", ...)
  local at, position = 1, 0
  while true do
    at = find(text, "%", at, true)
    if not at then break end
    at = at + 1
    local mark = byte(text, at)
    if mark ~= 37 then
      position = position + 1
      -- Flags, width and precision: space # + - . and digits.
      while mark and (mark == 32 or mark == 35 or mark == 43 or mark == 45 or mark == 46
        or mark >= 48 and mark <= 57) do
        at = at + 1
        mark = byte(text, at)
      end
      local value = values[position]
      local kind = type(value)
      if (mark == 115 or mark == 113) and (kind == "table" or kind == "userdata") then
        value = tostring(value)
        if type(value) ~= "string" and type(value) ~= "number" then
          error("'__tostring' must return a string to 'format'", 3)
        end
        values[position] = value
      end
    end
    at = at + 1
  end
  return unpack(values, 1, count)
end

function string.format(text, ...)
  for position = 1, select("#", ...) do
    local kind = type((select(position, ...)))
    if (kind == "table" or kind == "userdata") and type(text) == "string" then
      return format(text, spoken(text, ...))
    end
  end
  return format(text, ...)
end

function print(...)
  local pieces, count = {}, select("#", ...)
  for position = 1, count do
    local text = globals.tostring((select(position, ...)))
    if type(text) ~= "string" and type(text) ~= "number" then
      error("'tostring' must return a string to 'print'", 2)
    end
    pieces[position] = text
  end
  write(stdout, concat(pieces, "\t", 1, count), "\n")
end

-- The engine looks into the table with the script's `__index`.
local time = os.time

function os.time(when)
  if type(when) ~= "table" then return time(when) end
  return time({
    year = when.year, month = when.month, day = when.day,
    hour = when.hour, min = when.min, sec = when.sec, isdst = when.isdst,
  })
end

local loaded = package.loaded

function module(name, ...)
  if type(name) ~= "string" then wrong(1, "module", "string", name) end
  local new = loaded[name]
  if type(new) ~= "table" then
    new = globals
    for part in gmatch(name, "[^.]+") do
      local inner = rawget(new, part)
      if inner == nil then
        inner = {}
        rawset(new, part, inner)
      elseif type(inner) ~= "table" then
        error("name conflict for module '" .. name .. "'", 2)
      end
      new = inner
    end
    loaded[name] = new
  end
  if new._NAME == nil then
    new._M, new._NAME, new._PACKAGE = new, name, match(name, "^.*%.") or ""
  end
  setfenv(2, new)
  for position = 1, select("#", ...) do (select(position, ...))(new) end
end

function package.seeall(new)
  if type(new) ~= "table" then wrong(1, "seeall", "table", new) end
  local meta = getmetatable(new)
  if type(meta) ~= "table" then
    meta = {}
    setmetatable(new, meta)
  end
  meta.__index = globals
end
