-- Load averages, for Prometheus alone, as in ZaLua.
local prometheus_gauge_class = require("prometheus_gauge")
local gauges = {}
for name, minutes in pairs({one = 1, five = 5, fifteen = 15}) do
  gauges[name] = prometheus_gauge_class:new({
    help = "system load average over " .. minutes .. " minutes",
    namespace = "system", subsystem = "cpu", name = "la_" .. minutes .. "m",
  })
end

plugin.every(plugin.options.interval or 60, function()
  local load = assert(procfs.loadavg())
  for name, gauge in pairs(gauges) do gauge:set(load[name]) end
end)
