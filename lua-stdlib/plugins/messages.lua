-- Out of memory, segmentation faults and services of runit that ended, in the last 24 hours of the
-- system's log, under ZaLua's key.
--
-- `ok`, or how many of each. The log is /var/log/messages, else /var/log/syslog, or the option `path`.
-- It is read backwards once; after that only what was added. Where no log can be read, the kernel's own
-- count of processes that were killed for memory stands for it, from the start of the plugin on, and
-- the other two stay 0.
--
-- As in ZaLua, but: times are local, or RFC 3339 with a zone, where ZaLua took local for UTC; a time
-- without a year is the last such day, where ZaLua took each December for the coming one; "Killed
-- process", as kernels since 5.0 say, counts too, and so does a control group that was out of memory;
-- a fault counts also with the kernel's time stamp before it; what a rotation took away still counts.
local DAY, TTL = 24 * 3600, 600
-- Lines between two pauses, so that a long log does not use up a turn.
local LINES = 5000
local BLOCK, LINE_MAX = 65536, 1048576
local paths = {plugin.options.path or "/var/log/messages", not plugin.options.path and "/var/log/syslog" or nil}
local months = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6,
  Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}
-- A word that is quick to look for, and the pattern.
local problems = {
  oom = {"ut of memory: Kill", "[Oo]ut of memory: Kill%a* process %d+ (%S+)"},
  segfault = {"]: segfault at ", "kernel: .-(%S+)%[%d+%]: segfault at "},
  runit = {"exit code: '", "runit: service '%S+' exit code: '%d+'"},
}
-- What was found: by minute of Unix time how many of each kind.
local found = {}

local function add(kind, at)
  local minute = math.floor(at / 60)
  found[minute] = found[minute] or {oom = 0, segfault = 0, runit = 0}
  found[minute][kind] = found[minute][kind] + 1
end

-- The Unix time of a line; nothing when it has none.
local function time_of(line, now)
  if line:find("^%d%d%d%d%-%d%d%-%d%dT") then
    return (time.parse("2006-01-02T15:04:05Z07:00", line:match("^%S+")))
  end
  local month, day, hour, minute, second = line:match("^(%a%a%a) +(%d+) (%d%d):(%d%d):(%d%d)")
  if not months[month] then return nil end
  local date = {
    year = os.date("*t", now).year, month = months[month], day = tonumber(day),
    hour = tonumber(hour), min = tonumber(minute), sec = tonumber(second),
  }
  local at = os.time(date)
  if at > now + DAY then
    date.year = date.year - 1
    at = os.time(date)
  end
  return at
end

-- A line without a time counts from when it was seen.
local function note(line, now)
  for kind, words in pairs(problems) do
    if line:find(words[1], 1, true) and line:find(words[2]) then
      add(kind, time_of(line, now) or now)
    end
  end
end

-- Goes back through the lines of the last day.
local function read_backwards(path, now)
  local file = tac.open(path)
  local lines = 0
  while true do
    local line, message = file:line()
    -- A line that is too long is passed over.
    if not line and not (message and message:find("longer than")) then break end
    line, lines = line or "", lines + 1
    note(line, now)
    if lines % 100 == 1 then
      local at = time_of(line, now)
      if at and at < now - DAY then break end
    end
    if lines % LINES == 0 then time.sleep(0) end
  end
  file:close()
end

-- Reads the whole lines from an offset on; returns where they end.
local function read_on(file, offset, now)
  file:seek("set", offset)
  local rest, blocks = "", 0
  for block in function() return file:read(BLOCK) end do
    local text, from = rest .. block, 1
    while true do
      local stop = text:find("\n", from, true)
      if not stop then break end
      note(text:sub(from, stop - 1), now)
      from = stop + 1
    end
    offset, rest = offset + from - 1, text:sub(from)
    if #rest > LINE_MAX then offset, rest = offset + #rest, "" end
    blocks = blocks + 1
    if blocks % 16 == 0 then time.sleep(0) end
  end
  return offset
end

-- By path: how far it was read, and its first line, by which a new file is known.
local places = {}

-- Reads what is new in a log; false when it cannot be read.
local function read(path, now)
  local file = io.open(path)
  local first = file and file:read(256)
  if not file then return false end
  first = (first or ""):match("^[^\n]*")
  local size, place = file:seek("end"), places[path]
  if not place then
    read_backwards(path, now)
    places[path] = {offset = size, first = first}
  else
    if size < place.offset or first:sub(1, #place.first) ~= place.first then place.offset = 0 end
    place.offset, place.first = read_on(file, place.offset, now), first
  end
  file:close()
  return true
end

local kills
local function count_in_kernel(now)
  local count = (procfs.vmstat() or {}).oom_kill or 0
  for _ = 1, math.min(count - (kills or count), 1000) do add("oom", now) end
  kills = count
end

plugin.every(plugin.options.interval or 300, function()
  local now = time.unix()
  local has_log = false
  for _, path in ipairs(paths) do has_log = has_log or read(path, now) end
  if not has_log then count_in_kernel(now) end
  local counts, text = {oom = 0, segfault = 0, runit = 0}, "ok"
  for minute, of_minute in pairs(found) do
    if minute * 60 < now - DAY then
      found[minute] = nil
    else
      for kind, count in pairs(of_minute) do counts[kind] = counts[kind] + count end
    end
  end
  if next(found) then
    text = string.format(
      "Найдено проблем с OOM: %d, проблем с segfault: %d, проблем с падением сервисов runit: %d за последние 24 часов.",
      counts.oom, counts.segfault, counts.runit
    )
  end
  metrics.set("system.messages.problem", text, TTL)
end)
