-- Where memory was allocated, by NUMA node, under ZaLua's keys: pages per second. A machine with one
-- node has none of them.
local kinds = {"numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node"}

plugin.every(plugin.options.interval or 60, function()
  local nodes = procfs.numastat() or {}
  if #nodes < 2 then return end
  local total, discovered = {}, {}
  local function set(node, counts)
    for _, kind in ipairs(kinds) do
      metrics.set_counter_speed("system.numa." .. kind .. "[" .. node .. "]", counts[kind] or 0)
    end
    discovered[#discovered + 1] = {["{#NUMA_NODE}"] = tostring(node)}
  end
  for _, node in ipairs(nodes) do
    set(node.node, node)
    for _, kind in ipairs(kinds) do total[kind] = (total[kind] or 0) + (node[kind] or 0) end
  end
  set("total", total)
  metrics.set("system.numa.discovery", json.encode({data = discovered}))
end)
