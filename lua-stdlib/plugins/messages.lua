-- Out of memory, segmentation faults and services of runit that ended, in the last 24 hours of the
-- system's log, under ZaLua's key.
--
-- The log is /var/log/messages, else /var/log/syslog. Its times are local, or RFC 3339 with a zone; a
-- time without a year is the last such day. Where there is no log that can be read, the kernel's own
-- count of killed processes since the plugin was started stands for it.
local DAY = 24 * 3600
local INTERVAL, TTL = plugin.options.interval or 300, 600
local paths = {plugin.options.path or "/var/log/messages", "/var/log/syslog"}
local months = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6,
  Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}
local patterns = {
  oom = "Out of memory: Kill%a* process %d+ (%S+)",
  segfault = "kernel: .-(%S+)%[%d+%]: segfault at ",
  runit = "runit: service '%S+' exit code: '%d+'",
}

-- The Unix time of a line; nothing when it has none.
local function time_of(line, now)
  local rfc3339 = line:match("^(%d%d%d%d%-%d%d%-%d%dT%S+)")
  if rfc3339 then return (time.parse("2006-01-02T15:04:05Z07:00", rfc3339)) end
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

local function count(path)
  local file = tac.open(path)
  local counts, now = {oom = 0, segfault = 0, runit = 0}, time.unix()
  while true do
    local line = file:line()
    if not line then break end
    local at = time_of(line, now)
    if at and at < now - DAY then break end
    for name, pattern in pairs(patterns) do
      if line:find(pattern) then counts[name] = counts[name] + 1 end
    end
  end
  file:close()
  return counts
end

local first_kills
local function count_in_kernel()
  local kills = (procfs.vmstat() or {}).oom_kill or 0
  first_kills = first_kills or kills
  return {oom = kills - first_kills, segfault = 0, runit = 0}
end

plugin.every(INTERVAL, function()
  local counts
  for _, path in ipairs(paths) do
    if not counts and goos.stat(path) then
      local ok, result = pcall(count, path)
      if ok then counts = result else log.error(result) end
    end
  end
  counts = counts or count_in_kernel()
  local text = "ok"
  if counts.oom + counts.segfault + counts.runit > 0 then
    text = string.format(
      "Найдено проблем с OOM: %d, проблем с segfault: %d, проблем с падением сервисов runit: %d за последние 24 часов.",
      counts.oom, counts.segfault, counts.runit
    )
  end
  metrics.set("system.messages.problem", text, TTL)
end)
