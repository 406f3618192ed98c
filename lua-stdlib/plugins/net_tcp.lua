-- TCP sockets by state, for Prometheus alone, as in ZaLua.
--
-- ZaLua read the output of `ss --summary`, and broke when its form changed. The numbers here are those
-- that `ss` shows, from the kernel's files: `closed` is every socket that is in no table, and also what
-- is in time-wait; `synrecv`, which today's `ss` leaves out, is counted.
local gauge = require("prometheus_gauge"):new({
  help = "system tcp sockets by state", namespace = "system", subsystem = "tcp", name = "state",
  labels = {"type"}, ttl = 300,
})

local function set(state, count)
  if count then gauge:set(count, {type = state}) end
end

-- They have to be gone through one by one, which is left alone where there are very many.
local WALK_MAX = 50000
local function syn_recv(tcp)
  if (tcp.inuse or 0) + (tcp.tw or 0) > WALK_MAX then return nil end
  return (procfs.tcp_states() or {}).syn_recv
end

plugin.every(plugin.options.interval or 60, function()
  local sockets = procfs.sockstat() or {}
  local tcp, tcp6 = sockets.TCP or {}, sockets.TCP6 or {}
  set("established", ((procfs.snmp() or {}).Tcp or {}).CurrEstab)
  set("synrecv", syn_recv(tcp))
  set("timewait", tcp.tw)
  set("orphaned", tcp.orphan)
  if tcp.alloc and tcp.inuse and tcp.tw then
    set("closed", math.max(0, tcp.alloc - (tcp.inuse + (tcp6.inuse or 0) - tcp.tw)))
  end
end)
