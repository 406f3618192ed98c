-- Processor time, context switches, interrupts and processes, under ZaLua's keys.
--
-- `system.cpu.<N>.<mode>` and `system.cpu.total.<mode>`: jiffies per second, which is percent of one
-- processor; the total is not divided by the number of processors. `system.cpu.count` is the highest
-- number of a processor and one. Columns that come after the tenth are left out; ZaLua broke on them.
local modes = {
  "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice",
}
local gauge = require("prometheus_gauge"):new({
  help = "system cpu usage", namespace = "system", subsystem = "cpu", name = "usage",
  labels = {"cpu", "type"}, ttl = 300,
})

-- Old kernels and odd containers lack some of the lines.
local function set(key, value)
  if value then metrics.set(key, value) end
end

local function set_speed(key, value)
  if value then metrics.set_counter_speed(key, value) end
end

plugin.every(plugin.options.interval or 60, function()
  local stat = assert(procfs.stat())
  for cpu, times in pairs(stat.cpu) do
    for _, mode in ipairs(modes) do
      local key = "system.cpu." .. cpu .. "." .. mode
      set_speed(key, times[mode])
      if cpu ~= "total" then gauge:set_from_metrics(key, {cpu = tostring(cpu), type = mode}) end
    end
  end
  set("system.cpu.count", stat.count)
  set("system.processes.running", stat.procs_running)
  set("system.processes.blocked", stat.procs_blocked)
  set_speed("system.processes.fork_rate", stat.processes)
  set_speed("system.stat.ctxt", stat.ctxt)
  set_speed("system.stat.intr", stat.intr)
end)
