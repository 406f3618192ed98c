-- Disks by the place where they are mounted, under ZaLua's keys.
--
-- Every disk that is mounted counts, whatever its driver: sd, NVMe, virtio, Xen, MMC, md and the
-- device mapper, partitions among them; loop devices, RAM disks, CD and floppy drives do not. ZaLua
-- knew sd, md and dm alone, and broke where an md device had a member of another kind. A device that
-- is mounted in several places counts at the first; of several that are mounted in one place, the last
-- counts, which is the one to be seen. Names are compared whole: ZaLua's pattern took any character
-- for the `-` in `/dev/mapper/vg0-lv_root`.
--
-- An md device gets its utilization and await from its members, weighted by their size: ZaLua did so
-- for raid0 and raid1, and gave a utilization of zero and no await for every other level.
local gauge_class = require("prometheus_gauge")
local function gauge(name, labels)
  return gauge_class:new({
    help = "system disk " .. name, namespace = "system", subsystem = "disk", name = name,
    labels = labels, ttl = 300,
  })
end
local utilization = gauge("utilization", {"mountpoint"})
local await = gauge("await", {"mountpoint"})
local bytes = gauge("bytes", {"mountpoint", "type"})
local ops = gauge("ops", {"mountpoint", "type"})

local SECTOR = 512
local no_disks = {"^loop%d", "^ram%d", "^zram%d", "^sr%d", "^fd%d"}
-- By device: the numbers of the last pass, and the await that came of them.
local last, awaits = {}, {}

local function is_disk(device)
  for _, pattern in ipairs(no_disks) do
    if device:find(pattern) then return false end
  end
  return true
end

-- By the device that the mount table names, the place where it is mounted.
local function mountpoints()
  local mounts = assert(procfs.mounts())
  local top, places = {}, {}
  for _, mount in ipairs(mounts) do top[mount.raw_mountpoint] = mount.device end
  for _, mount in ipairs(mounts) do
    local device, place = mount.device, mount.raw_mountpoint
    if top[place] == device then places[device] = places[device] or place end
  end
  return places
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

-- The sum of `value(name)` over the members of an md device, weighted by size; nothing when no
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

local function set_speed(name, place, count, gauge_of, labels)
  local key = "system.disk." .. name .. "[" .. place .. "]"
  metrics.set_counter_speed(key, count)
  if gauge_of then gauge_of:set_from_metrics(key, labels) end
end

local function set(disk, place, busy, wait)
  set_speed("utilization", place, busy / 10, utilization, {mountpoint = place})
  if wait then
    metrics.set("system.disk.await[" .. place .. "]", wait)
    await:set(wait, {mountpoint = place})
  end
  local read = {mountpoint = place, type = "read"}
  local write = {mountpoint = place, type = "write"}
  set_speed("read_bytes_in_sec", place, disk.sectors_read * SECTOR, bytes, read)
  set_speed("write_bytes_in_sec", place, disk.sectors_written * SECTOR, bytes, write)
  set_speed("read_ops_in_sec", place, disk.reads, ops, read)
  set_speed("write_ops_in_sec", place, disk.writes, ops, write)
  set_speed("all_ops_in_sec", place, disk.reads + disk.writes)
end

plugin.every(plugin.options.interval or 60, function()
  local places, disks, waits, discovered = mountpoints(), {}, {}, {}
  local list = assert(procfs.diskstats())
  for _, disk in ipairs(list) do
    waits[disk.device] = await_of(disk)
    disks[disk.device] = disk
  end
  for _, disk in ipairs(list) do
    local device = disk.device
    local block = is_disk(device) and procfs.block(device) or {}
    local place = places["/dev/" .. device]
      or block.dm_name and places["/dev/mapper/" .. block.dm_name]
    if place and is_disk(device) then
      local busy, wait = disk.io_ms, waits[device]
      -- A partition of an array has no members of its own.
      local array = block.partition and procfs.block(block.disk) or block
      if array.md_level then
        local members = members_of(array)
        busy = weighted(members, function(name) return disks[name] and disks[name].io_ms end) or 0
        wait = weighted(members, function(name) return waits[name] end)
      end
      set(disk, place, busy, wait)
      discovered[#discovered + 1] = {["{#MOUNTPOINT}"] = place}
    end
  end
  last, awaits = disks, waits
  metrics.set("system.disk.discovery", json.encode({data = discovered}))
end)
