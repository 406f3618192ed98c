-- How full file systems are, for Prometheus alone, as in ZaLua.
--
-- `system_disk_percent_bytes_free` and `_inodes_free` tell the percentage that is used, whatever they
-- are called: dashboards are built on that. `_bytes_used` and `_inodes_used` are the same under the
-- right name.
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
    local help = "percent of " .. what .. " used"
    percent[what][word] = gauge("percent_" .. what .. "_" .. word, help, place_labels)
  end
end
local expose = gauge("expose", "file system sizes and counts", {"type", "device", "mountpoint", "fs"})

local skipped_types = {}
for name in ([[autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs fusectl
    hugetlbfs mqueue nsfs overlay proc procfs pstore rpc_pipefs securityfs selinuxfs squashfs sysfs
    tracefs efivarfs fuse.lxcfs ramfs]]):gmatch("%S+") do
  skipped_types[name] = true
end

local function is_skipped(mount)
  local place = mount.mountpoint
  return skipped_types[mount.type] or place == "/dev" or place == "/proc" or place == "/sys"
    or strings.has_prefix(place, "/dev/") or strings.has_prefix(place, "/proc/")
    or strings.has_prefix(place, "/sys/") or strings.has_prefix(place, "/var/lib/docker/")
end

plugin.every(plugin.options.interval or 60, function()
  for _, mount in ipairs(assert(procfs.mounts())) do
    if not is_skipped(mount) then
      local stat, message = syscall.statfs(mount.mountpoint)
      if stat then
        local labels = {device = mount.device, mountpoint = mount.raw_mountpoint, fs = mount.type}
        local function used(what, total, free)
          if total > 0 then
            for _, one in pairs(percent[what]) do one:set(100 - free / total * 100, labels) end
          end
        end
        used("bytes", stat.size, stat.free)
        used("inodes", stat.files, stat.files_free)
        for _, name in ipairs({"size", "free", "avail", "files", "files_free"}) do
          labels.type = name
          expose:set(stat[name], labels)
        end
      else
        log.error(mount.mountpoint .. ": " .. tostring(message))
      end
    end
  end
end)
