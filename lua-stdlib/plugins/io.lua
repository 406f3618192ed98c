-- IO of all processes, under ZaLua's keys.
--
-- The sums are those of the series `system.process.io`: counted in the kernel, or by the collector
-- where that program is not attached. Other than ZaLua's they do not go down when a process ends, and
-- count nobody twice. `system.io.read_hit` is how many bytes were read for each that had to be fetched
-- from storage: a ratio, no percentage, since the run before; ZaLua took the last ten seconds of it.
-- Where there are no such series, /proc/PID/io is summed up, as in ZaLua, if that of every process can
-- be read. Otherwise there are no values, and the log says why: the sum over a few would be taken for
-- that of the machine. When the sums come from elsewhere than at the run before, as at the start of the
-- service, the step from the one to the other is no speed. The collectors count every ten seconds: where
-- `interval` is shorter, a run that finds nothing new leaves the values as they are.
local speeds = require("counter_speeds").new()
local before
-- When the sums of the run before were put.
local seen
local is_first, is_silent = true, false

local function from_store()
  local function sum(name, tags) return (store.get(name, tags) or {}).value end
  local called = store.get("system.process.io", {direction = "read", layer = "syscall"}) or {}
  return {
    source = "store",
    at = called.at,
    called = called.value,
    fetched = sum("system.process.io", {direction = "read", layer = "storage"}),
    reads = sum("system.process.io.operations", {direction = "read"}),
    writes = sum("system.process.io.operations", {direction = "write"}),
  }
end

-- The sums, or an empty table and why there are none.
local function from_processes()
  local io, reason = procfs.process_io()
  if not io then return {}, reason end
  if io.closed > 0 then
    return {}, string.format(
      "the plugin itself cannot read /proc/PID/io of %d processes, which takes root or CAP_SYS_PTRACE", io.closed
    )
  end
  return {source = "processes", called = io.rchar, fetched = io.read_bytes, reads = io.syscr, writes = io.syscw}
end

plugin.every(plugin.options.interval or 60, function()
  local now, reason = from_store(), nil
  if not now.called then now, reason = from_processes() end
  -- At the first run the collectors may not have had theirs.
  if reason and not is_first and not is_silent then
    log.error("there is no system.io.*: nobody counts the IO of all processes (moonward status says why "
      .. "of the process probe and the collector process), and " .. reason)
  end
  is_first, is_silent = false, reason ~= nil and not is_first
  if now.at and now.at == seen then return end
  seen = now.at
  if now.reads then speeds:set("system.io.syscr", now.source, now.reads) end
  if now.writes then speeds:set("system.io.syscw", now.source, now.writes) end
  speeds:finish()
  if now.called and now.fetched and before and before.source == now.source then
    local called, fetched = now.called - before.called, now.fetched - before.fetched
    metrics.set("system.io.read_hit", called > 0 and fetched > 0 and called / fetched or 0)
  end
  before = now.called and now.fetched and now or nil
end)
