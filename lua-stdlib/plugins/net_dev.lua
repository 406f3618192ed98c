-- Network interfaces, under ZaLua's keys.
--
-- Every interface counts, whatever it is called, but the loopback and the containers' ends (`veth…`);
-- ZaLua knew eth, bond and vlan alone. The option `ignore`, a list of patterns, replaces these two.
--
-- ZaLua took the columns of what is sent for those of what is received: `tx.frame` is collisions,
-- `tx.compressed` lost carriers and `tx.multicast` compressed packets. These keys keep what they told;
-- `tx.colls`, `tx.carrier` and `tx.compressed_packets` are the same under the right name. A counter that
-- went down was reset and gives no speed, where ZaLua gave a negative one.
local ignore = plugin.options.ignore or {"^lo$", "^veth"}
local gauge = require("prometheus_gauge"):new({
  help = "system network interface, per second", namespace = "system", subsystem = "net", name = "info",
  labels = {"direction", "interface", "type"}, ttl = 300,
})
local fields = {
  rx = {
    bytes = "bytes", packets = "packets", errs = "errs", drop = "drop", fifo = "fifo",
    frame = "frame", compressed = "compressed", multicast = "multicast",
  },
  tx = {
    bytes = "bytes", packets = "packets", errs = "errs", drop = "drop", fifo = "fifo",
    frame = "colls", compressed = "carrier", multicast = "compressed",
    colls = "colls", carrier = "carrier", compressed_packets = "compressed",
  },
}

local function is_ignored(interface)
  for _, pattern in ipairs(ignore) do
    if interface:find(pattern) then return true end
  end
  return false
end

plugin.every(plugin.options.interval or 60, function()
  local discovered = {}
  for _, device in ipairs(assert(procfs.net_dev())) do
    local interface = device.interface
    if not is_ignored(interface) then
      for direction, names in pairs(fields) do
        for name, field in pairs(names) do
          local key = "system.net." .. direction .. "." .. name .. "[" .. interface .. "]"
          local count = device[direction][field]
          if count then metrics.set_counter_speed(key, count) end
          gauge:set_from_metrics(key, {direction = direction, interface = interface, type = name})
        end
      end
      discovered[#discovered + 1] = {["{#DEV}"] = interface}
    end
  end
  metrics.set("system.net.discovery", json.encode({data = discovered}))
end)
