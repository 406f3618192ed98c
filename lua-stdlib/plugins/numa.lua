-- Where memory was allocated, by NUMA node, under ZaLua's keys: pages per second. A machine with one
-- node has none of them; where nodes cannot be read for a while, what was said of them before holds.
local kinds = {"numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node"}

local function nodes()
  local list = procfs.numastat() or {}
  return #list > 1 and list
end
if not nodes() then return end

plugin.every(plugin.options.interval or 60, function()
  local list = nodes()
  if not list then return end
  local total, discovered = {}, {}
  local function set(node, counts)
    for _, kind in ipairs(kinds) do
      if counts[kind] then metrics.set_counter_speed("system.numa." .. kind .. "[" .. node .. "]", counts[kind]) end
    end
    discovered[#discovered + 1] = {["{#NUMA_NODE}"] = tostring(node)}
  end
  for _, counts in ipairs(list) do
    set(counts.node, counts)
    for _, kind in ipairs(kinds) do total[kind] = (total[kind] or 0) + (counts[kind] or 0) end
  end
  set("total", total)
  metrics.set("system.numa.discovery", json.encode({data = discovered}))
end)
