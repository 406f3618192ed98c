-- TCP sockets by state, for Prometheus alone, as in ZaLua.
--
-- The numbers are the kernel's; ZaLua read the output of `ss`, whose form has changed.
local gauge = require("prometheus_gauge"):new({
  help = "system tcp sockets by state", namespace = "system", subsystem = "tcp", name = "state",
  labels = {"type"},
})

plugin.every(plugin.options.interval or 60, function()
  local sockets = procfs.sockstat() or {}
  local tcp, tcp6 = sockets.TCP or {}, sockets.TCP6 or {}
  local states = procfs.tcp_states() or {}
  local function set(name, count)
    if count then gauge:set(count, {type = name}) end
  end
  set("established", states.established)
  set("synrecv", states.syn_recv)
  set("timewait", tcp.tw)
  set("orphaned", tcp.orphan)
  if tcp.alloc and tcp.inuse then
    -- As `ss` counts: what is allocated and in no table.
    set("closed", math.max(0, tcp.alloc - tcp.inuse - (tcp6.inuse or 0)))
  end
end)
