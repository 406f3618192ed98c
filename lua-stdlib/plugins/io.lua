-- IO of all processes, under ZaLua's keys.
--
-- The sums are counted in the kernel, or by the collector where the program is not attached: unlike
-- ZaLua's they never go down when a process ends, and count nothing twice.
local interval = plugin.options.interval or 60
local before

local function read()
  local function sum(name, tags) return (store.get(name .. "{" .. tags .. "}") or {}).value end
  local now = {
    called = sum("system.process.io", 'direction="read",layer="syscall"'),
    fetched = sum("system.process.io", 'direction="read",layer="storage"'),
    reads = sum("system.process.io.operations", 'direction="read"'),
    writes = sum("system.process.io.operations", 'direction="write"'),
  }
  if now.called and now.fetched and now.reads and now.writes then return now end
end

plugin.every(interval, function()
  local now = read()
  if not now then return end
  metrics.set_counter_speed("system.io.syscr", now.reads)
  metrics.set_counter_speed("system.io.syscw", now.writes)
  if before then
    -- How many bytes were read for each that had to be fetched from a disk: a ratio, no percentage.
    local called, fetched = now.called - before.called, now.fetched - before.fetched
    local hit = called > 0 and fetched > 0 and called / fetched or 0
    metrics.set("system.io.read_hit", hit)
  end
  before = now
end)
