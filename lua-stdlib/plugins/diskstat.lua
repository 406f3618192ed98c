-- Disks by the place where they are mounted, under ZaLua's keys.
--
-- Every disk that is mounted counts, whatever its driver: sd, NVMe, virtio, Xen, MMC, md and the
-- device mapper, partitions among them. An md device gets its utilization and await from its
-- members, weighted by their size: ZaLua did so for raid0 and raid1 and gave zero for the others.
local gauge_class = require("prometheus_gauge")
local function gauge(name, labels)
  return gauge_class:new({
    help = "system disk " .. name, namespace = "system", subsystem = "disk", name = name,
    labels = labels,
  })
end
local utilization = gauge("utilization", {"mountpoint"})
local await = gauge("await", {"mountpoint"})
local bytes = gauge("bytes", {"mountpoint", "type"})
local ops = gauge("ops", {"mountpoint", "type"})

local SECTOR = 512
-- By device: the numbers of the last pass, and the await that came of them.
local last, awaits = {}, {}

-- The mount points by the device that /proc/mounts names; of several the first.
local function mountpoints()
  local places = {}
  for _, mount in ipairs(assert(procfs.mounts())) do
    places[mount.device] = places[mount.device] or mount.raw_mountpoint
  end
  return places
end

local function mountpoint(places, device, block)
  return places["/dev/" .. device]
    or block.dm_name and places["/dev/mapper/" .. block.dm_name]
end

-- Milliseconds that an operation took since the pass before, on average.
local function await_of(disk)
  local before = last[disk.device]
  if not before then return nil end
  local time = disk.read_ms + disk.write_ms - before.read_ms - before.write_ms
  local count = disk.reads + disk.writes - before.reads - before.writes
  if time < 0 or count < 0 then return awaits[disk.device] end
  if time == 0 or count == 0 then return 0 end
  return time / count
end

-- The sum of `value(member)` over the members of an md device, weighted by size; nothing when no
-- member has one.
local function weighted(members, value)
  local sum, sizes, any = 0, 0, false
  for _, member in ipairs(members) do
    local number = value(member.name)
    if number then sum, any = sum + number * member.size, true end
    sizes = sizes + member.size
  end
  if any and sizes > 0 then return sum / sizes end
end

local function members_of(block)
  local members = {}
  for _, name in ipairs(block.slaves or {}) do
    local member = procfs.block(name)
    if member and member.size then members[#members + 1] = {name = name, size = member.size} end
  end
  return members
end

local function set(key, place, value)
  metrics.set_counter_speed("system.disk." .. key .. "[" .. place .. "]", value)
end

plugin.every(plugin.options.interval or 60, function()
  local places, disks, discovered = mountpoints(), {}, {}
  local list = assert(procfs.diskstats())
  for _, disk in ipairs(list) do
    awaits[disk.device] = await_of(disk)
    disks[disk.device] = disk
  end
  for _, disk in ipairs(list) do
    local block = procfs.block(disk.device) or {}
    local place = mountpoint(places, disk.device, block)
    if place then
      local busy, wait = disk.io_ms, awaits[disk.device]
      if block.md_level then
        local members = members_of(block)
        busy = weighted(members, function(name) return disks[name] and disks[name].io_ms end) or 0
        wait = weighted(members, function(name) return awaits[name] end)
      end
      set("utilization", place, busy / 10)
      utilization:set_from_metrics("system.disk.utilization[" .. place .. "]", {mountpoint = place})
      if wait then
        metrics.set("system.disk.await[" .. place .. "]", wait)
        await:set(wait, {mountpoint = place})
      end
      set("read_bytes_in_sec", place, disk.sectors_read * SECTOR)
      set("write_bytes_in_sec", place, disk.sectors_written * SECTOR)
      set("read_ops_in_sec", place, disk.reads)
      set("write_ops_in_sec", place, disk.writes)
      set("all_ops_in_sec", place, disk.reads + disk.writes)
      for _, direction in ipairs({"read", "write"}) do
        local labels = {mountpoint = place, type = direction}
        local key = "system.disk." .. direction
        bytes:set_from_metrics(key .. "_bytes_in_sec[" .. place .. "]", labels)
        ops:set_from_metrics(key .. "_ops_in_sec[" .. place .. "]", labels)
      end
      discovered[#discovered + 1] = {["{#MOUNTPOINT}"] = place}
    end
  end
  last = disks
  metrics.set("system.disk.discovery", json.encode({data = discovered}))
end)
