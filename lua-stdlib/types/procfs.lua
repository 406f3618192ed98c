---@meta procfs

---What the kernel's files say, as tables. A file that cannot be read gives nil and the reason; the second result is otherwise how much was skipped because it does not read.
procfs = {}

---@class procfs.cpu jiffies since boot
---@field user? number
---@field nice? number
---@field system? number
---@field idle? number
---@field iowait? number
---@field irq? number
---@field softirq? number
---@field steal? number
---@field guest? number
---@field guest_nice? number

---@class procfs.stat
---@field cpu table<integer|"total", procfs.cpu>
---@field count integer
---@field ctxt? number
---@field intr? number
---@field softirq? number
---@field processes? number
---@field procs_running? number
---@field procs_blocked? number
---@field btime? number

---Reads `/proc/stat`.
---@return procfs.stat? stat
---@return integer|string skipped
function procfs.stat() end

---Reads `/proc/loadavg`.
---@return {one: number, five: number, fifteen: number, running: integer, total: integer, last_pid: integer}? load
---@return integer|string skipped
function procfs.loadavg() end

---Reads `/proc/meminfo`: bytes by the kernel's names.
---@return table<string, number>? memory
---@return integer|string skipped
function procfs.meminfo() end

---Reads `/proc/vmstat`.
---@return table<string, number>? fields
---@return integer|string skipped
function procfs.vmstat() end

---Seconds since boot.
---@return number? seconds
---@return integer|string skipped
function procfs.uptime() end

---The name of the machine.
---@return string? name
---@return integer|string skipped
function procfs.hostname() end

---@class procfs.pressure
---@field avg10? number percent
---@field avg60? number percent
---@field avg300? number percent
---@field total? number microseconds since boot

---Reads `/proc/pressure/RESOURCE`.
---@param resource "cpu"|"memory"|"io"|"irq"
---@return {some?: procfs.pressure, full?: procfs.pressure}? pressure
---@return integer|string skipped
function procfs.pressure(resource) end

---@class procfs.disk
---@field device string
---@field major integer
---@field minor integer
---@field reads number
---@field reads_merged number
---@field sectors_read number
---@field read_ms number
---@field writes number
---@field writes_merged number
---@field sectors_written number
---@field write_ms number
---@field in_flight number
---@field io_ms number
---@field weighted_ms number
---@field discards? number
---@field discards_merged? number
---@field sectors_discarded? number
---@field discard_ms? number
---@field flushes? number
---@field flush_ms? number

---Reads `/proc/diskstats`.
---@return procfs.disk[]? disks
---@return integer|string skipped
function procfs.diskstats() end

---@class procfs.block
---@field size? number sectors of 512 bytes
---@field dm_name? string
---@field md_level? string
---@field slaves string[]
---@field rotational? boolean
---@field partition boolean
---@field disk string

---Says what a block device is.
---@param device string as in `/proc/diskstats`
---@return procfs.block? block
---@return integer|string reason
function procfs.block(device) end

---@class procfs.mount
---@field device string
---@field mountpoint string
---@field raw_mountpoint string as the kernel writes it, a space as `\040`
---@field type string
---@field options string
---@field major? integer of the file system's device; 0 where no one disk is behind it
---@field minor? integer

---Lists the mounts of the machine.
---@return procfs.mount[]? mounts
---@return integer|string skipped
function procfs.mounts() end

---@class procfs.filesystem
---@field device string
---@field mountpoint string
---@field type string
---@field read_only boolean
---@field size number bytes
---@field used number
---@field free number
---@field available number
---@field utilization? number 0 to 1
---@field inodes? number
---@field inodes_used? number
---@field inodes_free? number
---@field inodes_utilization? number 0 to 1

---Measures the file systems that are worth it.
---@return procfs.filesystem[]? filesystems
---@return integer|string skipped
function procfs.filesystems() end

---@class procfs.interface
---@field interface string
---@field rx {bytes?: number, packets?: number, errs?: number, drop?: number, fifo?: number, frame?: number, compressed?: number, multicast?: number}
---@field tx {bytes?: number, packets?: number, errs?: number, drop?: number, fifo?: number, colls?: number, carrier?: number, compressed?: number}

---Reads `/proc/net/dev`.
---@return procfs.interface[]? interfaces
---@return integer|string skipped
function procfs.net_dev() end

---Reads `/proc/net/netstat`.
---@return table<string, table<string, number>>? protocols
---@return integer|string skipped
function procfs.netstat() end

---Reads `/proc/net/snmp`.
---@return table<string, table<string, number>>? protocols
---@return integer|string skipped
function procfs.snmp() end

---Reads `/proc/net/sockstat` and `/proc/net/sockstat6`.
---@return table<string, table<string, number>>? protocols
---@return integer|string skipped
function procfs.sockstat() end

---Counts the TCP sockets by state.
---@return table<string, integer>? states
---@return integer|string skipped
function procfs.tcp_states() end

---Reads `/sys/devices/system/node/node*/numastat`.
---@return {node: integer, numa_hit?: number, numa_miss?: number, numa_foreign?: number, interleave_hit?: number, local_node?: number, other_node?: number}[]? nodes
---@return integer|string skipped
function procfs.numastat() end

---Reads the sensors of temperatures, in degrees Celsius.
---@return {chip: string, label: string, value: number, crit?: number, max?: number}[]? sensors
---@return integer|string skipped
function procfs.temperatures() end

---Sums up the IO of all processes.
---@return {rchar: number, wchar: number, syscr: number, syscw: number, read_bytes: number, write_bytes: number, cancelled_write_bytes: number, processes: integer, closed: integer}? io
---@return integer|string skipped
function procfs.process_io() end
