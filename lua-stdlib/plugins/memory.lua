-- Memory, under ZaLua's keys: whole bytes, as text.
--
-- `system.memory.shared` is the kernel's Shmem; ZaLua looked for MemShared, which is long gone.
local gauge = require("prometheus_gauge"):new({
  help = "system memory in bytes", namespace = "system", subsystem = "memory", name = "bytes",
  labels = {"type"},
})

plugin.every(plugin.options.interval or 60, function()
  local memory = assert(procfs.meminfo())
  local function set(name, bytes)
    metrics.set("system.memory." .. name, string.format("%d", bytes or 0))
  end
  set("free", memory.MemFree)
  set("cached", memory.Cached)
  set("shared", memory.MemShared or memory.Shmem)
  set("buffers", memory.Buffers)
  set("other", memory.MemTotal - memory.MemFree - memory.Cached)
  for name, bytes in pairs(memory) do gauge:set(bytes, {type = name}) end
end)
