-- Memory, under ZaLua's keys: whole bytes, as text.
--
-- `system.memory.shared` is the kernel's Shmem; ZaLua looked for MemShared, which is gone since Linux
-- 2.6, and so told 0. `other` is what is neither free nor cached. The numbers of huge pages are no
-- bytes and not among those for Prometheus.
local gauge = require("prometheus_gauge"):new({
  help = "system memory in bytes", namespace = "system", subsystem = "memory", name = "bytes",
  labels = {"type"}, ttl = 300,
})

local function set(name, bytes)
  if bytes then metrics.set("system.memory." .. name, string.format("%.0f", bytes)) end
end

plugin.every(plugin.options.interval or 60, function()
  local memory = assert(procfs.meminfo())
  local total, free, cached = memory.MemTotal, memory.MemFree, memory.Cached
  set("free", free)
  set("cached", cached)
  set("shared", memory.MemShared or memory.Shmem or 0)
  set("buffers", memory.Buffers)
  if total and free and cached then set("other", total - free - cached) end
  for name, bytes in pairs(memory) do
    if not name:find("^HugePages_") then gauge:set(bytes, {type = name}) end
  end
end)
