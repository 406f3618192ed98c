-- The kernel's TcpExt counters, under ZaLua's keys.
local gauge = require("prometheus_gauge"):new({
  help = "system tcp netstat, per second", namespace = "system", subsystem = "tcp", name = "netstat",
  labels = {"type"}, ttl = 300,
})

-- A kernel without IPv4 has no such file.
if not procfs.netstat() then return end

plugin.every(plugin.options.interval or 60, function()
  for field, count in pairs(assert(procfs.netstat()).TcpExt or {}) do
    local key = "system.tcp.netstat[" .. field .. "]"
    metrics.set_counter_speed(key, count)
    gauge:set_from_metrics(key, {type = field})
  end
end)
