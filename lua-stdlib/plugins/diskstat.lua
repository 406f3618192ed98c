-- Disks by the place where they are mounted, under ZaLua's keys.
--
-- Every disk that is mounted counts, whatever its driver: sd, NVMe, virtio, Xen, MMC, md and the
-- device mapper, partitions among them; loop devices, RAM disks, CD and floppy drives do not. ZaLua
-- knew sd, md and dm alone, and broke where an md device had a member of another kind. A device that
-- is mounted in several places counts at the first; of several that are mounted in one place, the last
-- counts, which is the one to be seen. Names are compared whole: ZaLua's pattern took any character
-- for the `-` in `/dev/mapper/vg0-lv_root`. Where the mount table has another name than the disk
-- (`/dev/root`, `/dev/vg0/data`, `/dev/md/0`), its numbers tell which one it is.
--
-- An md device gets its utilization and await from its members, weighted by their size: ZaLua did so
-- for raid0 and raid1, and gave a utilization of zero and no await for every other level. What members
-- did since the run before is weighted, so that one that comes or goes makes no jump.
local speeds = require("counter_speeds").new()
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
-- By array: for how many milliseconds its members were busy, and from which pass on that was added up.
local arrays, passes = {}, 0

local function is_disk(device)
  for _, pattern in ipairs(no_disks) do
    if device:find(pattern) then return false end
  end
  return true
end

local function numbers(of) return of.major and of.major .. ":" .. of.minor end

-- By disk, the place where it is mounted.
local function mountpoints(disks)
  local mounts = assert(procfs.mounts())
  local by_node, by_numbers = {}, {}
  for _, disk in ipairs(disks) do
    by_node["/dev/" .. disk.device], by_numbers[numbers(disk)] = disk, disk
    local name = disk.block.dm_name
    if name then by_node["/dev/mapper/" .. name] = disk end
  end
  local top, places = {}, {}
  for _, mount in ipairs(mounts) do top[mount.raw_mountpoint] = mount.device end
  for _, mount in ipairs(mounts) do
    local disk = by_node[mount.device] or by_numbers[numbers(mount)]
    local place = mount.raw_mountpoint
    if disk and top[place] == mount.device then places[disk] = places[disk] or place end
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

-- Milliseconds that the members of an array were busy since the pass before, by their size; nothing
-- when no member was there then.
local function busy_of(members, disks)
  local sum, sizes = 0, 0
  for _, member in ipairs(members) do
    local now, before = disks[member.name], last[member.name]
    local busy = now and before and now.io_ms - before.io_ms or -1
    if busy >= 0 then sum, sizes = sum + busy * member.size, sizes + member.size end
  end
  if sizes > 0 then return sum / sizes end
end

local function members_of(block)
  local members = {}
  for _, name in ipairs(block.slaves or {}) do
    local member = procfs.block(name)
    if member and member.size then members[#members + 1] = {name = name, size = member.size} end
  end
  return members
end

-- The array with what its members did since the pass before.
local function array_of(device, members, disks)
  local array, busy = arrays[device], busy_of(members, disks)
  if array and busy then return {busy = array.busy + busy, since = array.since} end
  return {busy = 0, since = passes}
end

local function set_speed(name, place, source, count, gauge_of, labels)
  local key = "system.disk." .. name .. "[" .. place .. "]"
  speeds:set(key, source, count)
  if gauge_of then gauge_of:set_from_metrics(key, labels) end
end

local function set(disk, place, array, wait)
  local device = disk.device
  if array then
    local source = device .. " since " .. array.since
    set_speed("utilization", place, source, array.busy / 10, utilization, {mountpoint = place})
  else
    set_speed("utilization", place, device, disk.io_ms / 10, utilization, {mountpoint = place})
  end
  if wait then
    metrics.set("system.disk.await[" .. place .. "]", wait)
    await:set(wait, {mountpoint = place})
  end
  local read = {mountpoint = place, type = "read"}
  local write = {mountpoint = place, type = "write"}
  set_speed("read_bytes_in_sec", place, device, disk.sectors_read * SECTOR, bytes, read)
  set_speed("write_bytes_in_sec", place, device, disk.sectors_written * SECTOR, bytes, write)
  set_speed("read_ops_in_sec", place, device, disk.reads, ops, read)
  set_speed("write_ops_in_sec", place, device, disk.writes, ops, write)
  set_speed("all_ops_in_sec", place, device, disk.reads + disk.writes)
end

plugin.every(plugin.options.interval or 60, function()
  local list, disks, waits, measured, discovered = {}, {}, {}, {}, {}
  passes = passes + 1
  for _, disk in ipairs(assert(procfs.diskstats())) do
    waits[disk.device], disks[disk.device] = await_of(disk), disk
    if is_disk(disk.device) then
      disk.block = procfs.block(disk.device) or {}
      list[#list + 1] = disk
    end
  end
  local places = mountpoints(list)
  for _, disk in ipairs(list) do
    local place, block = places[disk], disk.block
    if place then
      local wait, array = waits[disk.device], nil
      -- A partition of an array has no members of its own.
      local whole = block.partition and procfs.block(block.disk) or block
      if whole.md_level then
        local members = members_of(whole)
        array = array_of(disk.device, members, disks)
        measured[disk.device] = array
        wait = weighted(members, function(name) return waits[name] end)
      end
      set(disk, place, array, wait)
      discovered[#discovered + 1] = {["{#MOUNTPOINT}"] = place}
    end
  end
  last, awaits, arrays = disks, waits, measured
  speeds:finish()
  metrics.set("system.disk.discovery", json.encode({data = discovered}))
end)
