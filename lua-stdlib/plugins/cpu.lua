-- Processor time, context switches, interrupts and processes, under ZaLua's keys.
--
-- `system.cpu.<N>.<mode>` and `system.cpu.total.<mode>`: jiffies per second, which is percent of one
-- processor; the total is not divided by the number of processors.
local modes = {
  "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice",
}
local gauge = require("prometheus_gauge"):new({
  help = "system cpu usage", namespace = "system", subsystem = "cpu", name = "usage",
  labels = {"cpu", "type"},
})

plugin.every(plugin.options.interval or 60, function()
  local stat = assert(procfs.stat())
  for cpu, times in pairs(stat.cpu) do
    local of_one = type(cpu) == "number"
    if of_one or cpu == "total" then
      for _, mode in ipairs(modes) do
        if times[mode] then
          local key = "system.cpu." .. cpu .. "." .. mode
          metrics.set_counter_speed(key, times[mode])
          if of_one then gauge:set_from_metrics(key, {cpu = tostring(cpu), type = mode}) end
        end
      end
    end
  end
  metrics.set("system.cpu.count", stat.cpu.count)
  metrics.set("system.processes.running", stat.procs_running)
  metrics.set("system.processes.blocked", stat.procs_blocked)
  metrics.set_counter_speed("system.processes.fork_rate", stat.processes)
  metrics.set_counter_speed("system.stat.ctxt", stat.ctxt)
  metrics.set_counter_speed("system.stat.intr", stat.intr)
end)
