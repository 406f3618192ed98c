-- IO of all processes, under ZaLua's keys.
--
-- The sums are those of the series `system.process.io`: counted in the kernel, or by the collector
-- where that program is not attached. Other than ZaLua's they do not go down when a process ends, and
-- count nobody twice. `system.io.read_hit` is how many bytes were read for each that had to be fetched
-- from storage: a ratio, no percentage, since the run before; ZaLua took the last ten seconds of it.
-- Where there are no such series, what may be read of /proc/PID/io is summed up, as in ZaLua.
local before

local function from_store()
  local function sum(name, tags) return (store.get(name, tags) or {}).value end
  return {
    called = sum("system.process.io", {direction = "read", layer = "syscall"}),
    fetched = sum("system.process.io", {direction = "read", layer = "storage"}),
    reads = sum("system.process.io.operations", {direction = "read"}),
    writes = sum("system.process.io.operations", {direction = "write"}),
  }
end

local function from_processes()
  local io = procfs.process_io() or {}
  return {called = io.rchar, fetched = io.read_bytes, reads = io.syscr, writes = io.syscw}
end

plugin.every(plugin.options.interval or 60, function()
  local now = from_store()
  if not now.called then now = from_processes() end
  if now.reads then metrics.set_counter_speed("system.io.syscr", now.reads) end
  if now.writes then metrics.set_counter_speed("system.io.syscw", now.writes) end
  if not now.called or not now.fetched then return end
  if before then
    local called, fetched = now.called - before.called, now.fetched - before.fetched
    metrics.set("system.io.read_hit", called > 0 and fetched > 0 and called / fetched or 0)
  end
  before = now
end)
