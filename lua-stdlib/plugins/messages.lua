-- Out of memory, segmentation faults and services of runit that ended, in the last 24 hours of the
-- system's log, under ZaLua's key.
--
-- `ok`, or how many of each. The log is /var/log/messages, else /var/log/syslog, or the option `path`.
-- It is read backwards once; after that only what was added, before a rotation too: the file that was
-- read stays open until there is another in its place. (A log that is copied and then emptied instead,
-- `copytruncate`, loses what came after the run before.)
--
-- When the file of `path` cannot be read, the plugin fails and says why. When neither of the other two
-- can, that is logged, and the kernel's own count of processes that were killed for memory stands for
-- them, from the start of the plugin on; the other two stay 0.
--
-- As in ZaLua, but: times are local, or RFC 3339 with a zone, where ZaLua took local for UTC; a time
-- without a year is the last such day, where ZaLua took each December for the coming one; "Killed
-- process", as kernels since 5.0 say, counts too, and so does a control group that was out of memory;
-- a fault counts also with the kernel's time stamp before it; what a rotation took away still counts,
-- and what was written before it.
local DAY, TTL = 24 * 3600, 600
-- Lines between two pauses, so that a long log does not use up a turn.
local LINES = 5000
local BLOCK, LINE_MAX = 65536, 1048576
local chosen = plugin.options.path
local paths = chosen and {chosen} or {"/var/log/messages", "/var/log/syslog"}
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

-- A log, opened; or nothing and why it cannot be read.
local function open(path)
  local file, message = io.open(path)
  if not file then return nil, message end
  -- What was read before is no longer there when a log was emptied.
  file:setvbuf("no")
  local _, reason = file:read(1)
  if not reason then return file end
  file:close()
  return nil, path .. ": " .. reason
end

local function first_line(file)
  file:seek("set")
  return (file:read(256) or ""):match("^[^\n]*")
end

-- Whether what was opened before and what is opened now are one file: they begin alike, and end at
-- the same place, although somebody may be writing.
local function is_same(before, now)
  local first = first_line(before)
  if first_line(now):sub(1, #first) ~= first then return false end
  local least, size = before:seek("end"), now:seek("end")
  return least <= size and size <= before:seek("end")
end

-- By path: the file, how far it was read, and its first line, by which one that was emptied is known.
local logs = {}

-- What was added to the file that was read, when there is none in its place. That may be so in the
-- middle of a rotation, once.
local function read_without(path, message, now)
  local log = logs[path]
  if not log then return false, message end
  log.offset = read_on(log.file, log.offset, now)
  if not log.is_gone then
    log.is_gone = true
    return true
  end
  log.file:close()
  logs[path] = nil
  return false, message
end

-- Reads what is new in a log; false and why when it cannot be read.
local function read(path, now)
  local file, message = open(path)
  if not file then return read_without(path, message, now) end
  local log = logs[path]
  if not log then
    logs[path] = {file = file, first = first_line(file), offset = file:seek("end")}
    read_backwards(path, now)
    return true
  end
  local old = log.old
  if old then
    -- Who wrote it may have heard of the rotation after the run before.
    read_on(old.file, old.offset, now)
    old.file:close()
  end
  log = {file = file, offset = log.offset, first = log.first, before = log.file}
  if is_same(log.before, file) then
    log.before:close()
  else
    log.old = {file = log.before, offset = read_on(log.before, log.offset, now)}
    log.offset, log.first = 0, ""
  end
  local first = first_line(file)
  if file:seek("end") < log.offset or first:sub(1, #log.first) ~= log.first then log.offset = 0 end
  log.offset, log.first, log.before = read_on(file, log.offset, now), first, nil
  logs[path] = log
  return true
end

-- What the kernel has killed since the run before counts where there is no log to say so.
local kills
local function count_in_kernel(now, has_log)
  local count = (procfs.vmstat() or {}).oom_kill or 0
  for _ = 1, has_log and 0 or math.min(count - (kills or count), 1000) do add("oom", now) end
  kills = count
end

-- Says why there is no log: as an error where somebody has named it, else once.
local said
local function complain(reasons)
  local text = table.concat(reasons, "; ")
  if chosen then
    local rights = text:find("Permission denied", 1, true)
      and "let the user moonward read it (SupplementaryGroups= in the unit, where a group may), or " or ""
    error(text .. "; " .. rights .. "change path in [plugin.messages.options]", 0)
  end
  if text == said then return end
  said = text
  local message = "system.messages.problem tells only what the kernel killed for memory: " .. text
  local _, absent = text:gsub("No such file", "")
  if absent == #reasons then
    log.info(message)
  else
    local rights = text:find("Permission denied", 1, true)
      and "let the user moonward read it (SupplementaryGroups=adm in the unit, where the group adm may), or " or ""
    log.error(message .. "; " .. rights .. "switch this plugin off ([plugin.messages] enabled = false)")
  end
end

plugin.every(plugin.options.interval or 300, function()
  local now = time.unix()
  local has_log, reasons = false, {}
  for _, path in ipairs(paths) do
    if not has_log then has_log, reasons[#reasons + 1] = read(path, now) end
  end
  if has_log then said = nil else complain(reasons) end
  count_in_kernel(now, has_log)
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
