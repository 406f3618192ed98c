-- How full file systems are, for Prometheus alone, as in ZaLua.
--
-- `system_disk_percent_bytes_free` and `_inodes_free` tell the percentage that is used, whatever they
-- are called: dashboards are built on that. `_bytes_used` and `_inodes_used` are the same under the
-- right name. File systems are asked by the collector's threads, so one that does not answer costs
-- itself; ZaLua waited for it without an end, and asked for `/a\040b` where `/a b` is mounted. What is
-- no file system of anybody's is left out, by the collector's list or by ZaLua's.
local gauge_class = require("prometheus_gauge")
local function gauge(name, help, labels)
  return gauge_class:new({
    help = help, namespace = "system", subsystem = "disk", name = name, labels = labels, ttl = 300,
  })
end
local place_labels = {"device", "mountpoint", "fs"}
local percent = {}
for _, what in ipairs({"bytes", "inodes"}) do
  percent[what] = {}
  for _, word in ipairs({"free", "used"}) do
    percent[what][word] = gauge("percent_" .. what .. "_" .. word, "percent of " .. what .. " used", place_labels)
  end
end
local expose = gauge("expose", "file system sizes and counts", {"type", "device", "mountpoint", "fs"})

local skipped = {}
for name in ([[autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs fusectl
    hugetlbfs mqueue nsfs overlay proc procfs pstore rpc_pipefs securityfs selinuxfs squashfs sysfs
    tracefs]]):gmatch("%S+") do
  skipped[name] = true
end

local function is_below(place, directory)
  return place == directory or strings.has_prefix(place, directory .. "/")
end

local function is_skipped(filesystem)
  local place = filesystem.mountpoint
  return skipped[filesystem.type] or is_below(place, "/dev") or is_below(place, "/proc")
    or is_below(place, "/sys") or strings.has_prefix(place, "/var/lib/docker/")
end

plugin.every(plugin.options.interval or 60, function()
  for _, filesystem in ipairs(assert(procfs.filesystems())) do
    if not is_skipped(filesystem) then
      local device, place, fs = filesystem.device, filesystem.mountpoint, filesystem.type
      local function set_used(what, total, free)
        if not total or total <= 0 then return end
        for _, one in pairs(percent[what]) do
          one:set(100 - free / total * 100, {device = device, mountpoint = place, fs = fs})
        end
      end
      set_used("bytes", filesystem.size, filesystem.free)
      set_used("inodes", filesystem.inodes, filesystem.inodes_free)
      for name, value in pairs({
        size = filesystem.size, free = filesystem.free, avail = filesystem.available,
        files = filesystem.inodes or 0, files_free = filesystem.inodes_free or 0,
      }) do
        expose:set(value, {type = name, device = device, mountpoint = place, fs = fs})
      end
    end
  end
end)
