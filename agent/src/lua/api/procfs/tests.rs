use std::path::{Path, PathBuf};

use crate::collect::Root;
use crate::lua::testing::Stage;
use crate::model::Clock;

/// A stage on a recorded machine.
fn machine(name: &str) -> Stage {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/machines")
        .join(name);
    Stage::with(Clock::System, Root::recorded(path))
}

/// A stage on files of the test's own.
fn files(files: &[(&str, &str)]) -> (Stage, tempfile::TempDir) {
    let tree = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path: PathBuf = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = Root::recorded(tree.path());
    (Stage::with(Clock::System, root), tree)
}

#[test]
fn a_server_with_two_nodes_reads_as_recorded() {
    machine("two-nodes").pass(
        "local stat, skipped = procfs.stat()
         assert(skipped == 0 and stat.count == 16)
         assert(stat.cpu.total.user == 187009147 and stat.cpu[0].system == 3324539)
         assert(stat.cpu[15].iowait == 56351 and stat.cpu[16] == nil)
         assert(stat.cpu.total.guest == 5409789 and stat.cpu.total.guest_nice == 0)
         assert(stat.intr == 9183746501 and stat.ctxt == 18273645091 and stat.btime == 1717171717)
         assert(stat.processes == 5123874 and stat.procs_running == 7 and stat.procs_blocked == 2)

         local load = procfs.loadavg()
         assert(load.one == 3.41 and load.five == 2.98 and load.fifteen == 2.07)
         assert(load.running == 7 and load.total == 1893 and load.last_pid == 2817364)

         local memory = procfs.meminfo()
         assert(memory.MemTotal == 528152900 * 1024 and memory.Cached == 258123456 * 1024)
         assert(procfs.uptime() == 4123456.78 and procfs.hostname() == 'db7.example.net')
         assert(procfs.vmstat().nr_free_pages == 35336728)
         local cpu = procfs.pressure('cpu')
         assert(cpu.some.avg10 == 1.21 and cpu.some.total == 91827364512 and cpu.full.avg300 == 0)

         local nodes = procfs.numastat()
         assert(#nodes == 2 and nodes[1].node == 0 and nodes[2].node == 1)
         assert(nodes[1].numa_hit == 98234123471 and nodes[2].other_node == 223861256)

         local hottest, of = 0, {}
         for _, sensor in ipairs(procfs.temperatures()) do
           hottest = math.max(hottest, sensor.value)
           of[sensor.chip .. '/' .. sensor.label] = sensor
         end
         assert(hottest == 61)
         local core = of['coretemp.0/Core 1']
         assert(core.value == 59 and core.crit == 94 and core.max == 84)
         assert(of['nvme0/Sensor 1'].crit == nil)

         local io = procfs.process_io()
         assert(io.rchar == 1010376499778 and io.wchar == 72720009344)
         assert(io.syscr == 201377443 and io.syscw == 9385592)
         assert(io.read_bytes == 100080122706 and io.write_bytes == 7263393036 and io.processes > 0)",
    );
}

#[test]
fn its_network_reads_as_recorded() {
    machine("two-nodes").pass(
        "local of = {}
         local interfaces, skipped = procfs.net_dev()
         assert(#interfaces == 8 and skipped == 0 and interfaces[1].interface == 'lo')
         for _, interface in ipairs(interfaces) do of[interface.interface] = interface end
         assert(of.eno1np0.rx.bytes == 918273645091 and of.eno1np0.rx.multicast == 91827)
         assert(of.eno1np0.rx.frame == 3 and of.eno1np0.rx.errs == 3 and of.eno1np0.rx.drop == 1827)
         assert(of.eno2np1.tx.bytes == 7182736 and of.eno2np1.tx.drop == 12)
         assert(of.lo.tx.colls == 0 and of.lo.tx.carrier == 0 and of.lo.tx.frame == nil)

         local tcp = procfs.snmp().Tcp
         assert(tcp.MaxConn == -1 and tcp.ActiveOpens == 1827364 and tcp.CurrEstab == 4127)
         assert(procfs.netstat().TcpExt.SyncookiesSent ~= nil)
         local sockets = procfs.sockstat()
         assert(sockets.TCP.inuse == 4213 and sockets.TCP.tw == 1827 and sockets.TCP6.inuse == 218)
         assert(sockets.sockets.used == 5812)

         local states, lost = procfs.tcp_states()
         assert(states.listen == 1 and states.established == 1 and states.time_wait == 1)
         assert(states.syn_recv == 0 and states.orphaned == 12 and lost == 0)",
    );
}

#[test]
fn disks_and_mounts_of_a_storage_host_read_as_recorded() {
    machine("md-and-dm").pass(
        "local of = {}
         local disks, skipped = procfs.diskstats()
         assert(#disks == 11 and skipped == 0 and disks[1].device == 'sda')
         for _, disk in ipairs(disks) do of[disk.device] = disk end
         local dm = of['dm-2']
         assert(dm.major == 253 and dm.minor == 2 and dm.reads == 1278173 and dm.sectors_read == 199265384)
         assert(dm.read_ms == 9172635 and dm.writes == 1817264 and dm.write_ms == 81827364)
         assert(dm.in_flight == 0 and dm.io_ms == 9172635 and dm.weighted_ms == 90999999)
         assert(of.sda.flushes == 91827 and of.sda.flush_ms == 182736 and of.sda.discards == 0)

         local root = procfs.block('dm-0')
         assert(root.dm_name == 'vg-root' and root.size == 209715200 and root.slaves[1] == 'md1')
         assert(root.partition == false and root.disk == 'dm-0' and root.md_level == nil)
         local array = procfs.block('md1')
         assert(array.md_level == 'raid0' and #array.slaves == 2 and array.slaves[2] == 'sdb2')
         local part = procfs.block('sda2')
         assert(part.partition == true and part.disk == 'sda' and part.size > 0)
         assert(part.rotational == procfs.block('sda').rotational and part.rotational ~= nil)
         for _, name in ipairs({'', '..', '../block/sda', 'sdz', 'sda1/../..', 'a\\0b', ('x'):rep(300)}) do
           local nothing, message = procfs.block(name)
           assert(nothing == nil and message:find('no block device'), name)
         end

         local mounts = procfs.mounts()
         assert(#mounts == 7 and mounts[1].mountpoint == '/sys')
         assert(mounts[4].device == '/dev/mapper/vg-root' and mounts[4].type == 'ext4')
         assert(mounts[4].major == 253 and mounts[4].minor == 0 and mounts[1].major == 0)
         assert(mounts[4].options == 'rw,relatime,errors=remount-ro,stripe=256', mounts[4].options)

         local points = {}
         for _, file_system in ipairs(procfs.filesystems()) do points[file_system.mountpoint] = file_system end
         assert(points['/proc'] == nil and points['/sys'] == nil)
         local root = points['/']
         assert(root.size == 4096 * 12851200 and root.available == 4096 * 6950121)
         assert(root.free == 4096 * 7612345 and root.used == root.size - root.free)
         assert(root.inodes == 3276800 and root.inodes_free == 3012345 and root.read_only == false)
         assert(root.utilization > 0.42 and root.utilization < 0.44)",
    );
}

#[test]
fn odd_files_cost_what_is_odd_in_them() {
    machine("minimal").pass(
        "local stat, skipped = procfs.stat()
         assert(stat.count == 2 and next(stat.cpu[1]) == nil)
         assert(stat.cpu.total.softirq == 45 and stat.cpu.total.steal == nil)
         assert(stat.btime == 1500000000 and stat.procs_blocked == nil)
         assert(skipped == 5, skipped) -- three words, and two lines without a number
         local memory, skipped = procfs.meminfo()
         assert(memory.SReclaimable == 18272 * 1024 and memory.Slab == nil and skipped == 3, skipped)
         local disks, skipped = procfs.diskstats()
         assert(#disks == 4 and skipped == 2 and disks[1].discards == nil, skipped)
         local interfaces, skipped = procfs.net_dev()
         assert(#interfaces == 3 and interfaces[3].rx.errs == 3 and interfaces[3].tx.bytes == nil)
         assert(skipped == 13, skipped)",
    );
}

#[test]
fn what_is_not_there_is_nil_with_a_reason() {
    let (stage, _tree) = files(&[("empty", "")]);
    stage.pass(
        "for _, name in ipairs({'stat', 'loadavg', 'meminfo', 'uptime', 'diskstats', 'mounts', 'net_dev',
                                'netstat', 'snmp', 'sockstat', 'tcp_states', 'numastat', 'temperatures',
                                'process_io', 'hostname', 'vmstat', 'filesystems'}) do
           local nothing, message = procfs[name]()
           assert(nothing == nil and type(message) == 'string' and #message > 10, name)
         end
         local nothing, message = procfs.pressure('io')
         assert(nothing == nil and message:find('/proc/pressure/io'), message)
         local ok, message = pcall(procfs.pressure, 'net')
         assert(not ok and message:find('cpu, memory, io or irq expected'), message)
         assert(not pcall(procfs.block) and not pcall(procfs.pressure))",
    );
}

#[test]
fn files_of_rubbish_raise_nothing() {
    let rubbish = "cpu\ncpu99999999999 1\ncpu0 1 2 3 4 5 6 7 8 9 10 11 12 x\nintr\n:\n: :\na: b\na: b\n\u{fffd}\0\n";
    let names = [
        "proc/stat",
        "proc/meminfo",
        "proc/loadavg",
        "proc/uptime",
        "proc/diskstats",
        "proc/mounts",
        "proc/net/dev",
        "proc/net/netstat",
        "proc/net/snmp",
        "proc/net/sockstat",
        "proc/net/tcp",
        "proc/vmstat",
        "proc/pressure/cpu",
        "proc/1/io",
        "sys/devices/system/node/node0/numastat",
        "sys/class/hwmon/hwmon0/temp1_input",
        "sys/block/sda/size",
    ];
    let (stage, _tree) = files(&names.map(|name| (name, rubbish)));
    stage.pass(
        "for _, name in ipairs({'stat', 'loadavg', 'meminfo', 'uptime', 'diskstats', 'mounts', 'net_dev',
                                'netstat', 'snmp', 'sockstat', 'tcp_states', 'numastat', 'temperatures',
                                'process_io', 'hostname', 'vmstat', 'filesystems'}) do
           procfs[name]()
         end
         local stat = procfs.stat()
         assert(stat.count == 1 and stat.cpu[0].guest_nice == 10)
         procfs.pressure('cpu') procfs.block('sda')",
    );
}

#[test]
fn mounts_keep_both_forms_of_a_path() {
    let (stage, _tree) = files(&[(
        "proc/mounts",
        "/dev/sda1 / ext4 rw,relatime 0 0\n/dev/sdb1 /mnt/a\\040b xfs ro 0 0\nshort\n",
    )]);
    stage.pass(
        "local mounts, skipped = procfs.mounts()
         assert(#mounts == 2 and skipped == 1)
         assert(mounts[2].mountpoint == '/mnt/a b' and mounts[2].raw_mountpoint == '/mnt/a\\\\040b')
         assert(mounts[1].major == nil and mounts[1].minor == nil)
         assert(mounts[2].options == 'ro' and mounts[1].options == 'rw,relatime')",
    );
}

#[test]
fn old_kernels_have_the_temperatures_elsewhere() {
    let folder = "sys/bus/platform/devices/coretemp.0";
    let (stage, _tree) = files(&[
        (&format!("{folder}/temp2_input"), "51000\n"),
        (&format!("{folder}/temp2_crit"), "100000\n"),
        (&format!("{folder}/temp2_label"), "Core 0\n"),
        (&format!("{folder}/temp3_input"), "53000\n"),
    ]);
    stage.pass(
        "local sensors = procfs.temperatures()
         assert(#sensors == 2 and sensors[1].chip == 'coretemp.0' and sensors[1].label == 'Core 0')
         assert(sensors[1].value == 51 and sensors[1].crit == 100 and sensors[2].value == 53)",
    );
}

#[test]
fn processes_are_summed_once_each() {
    let (stage, _tree) = files(&[
        ("proc/1/io", "rchar: 10\nsyscr: 2\n"),
        ("proc/2/io", "rchar: 5\nsyscr: 1\n"),
        ("proc/self/io", "rchar: 5\nsyscr: 1\n"),
        ("proc/thread-self/io", "rchar: 5\nsyscr: 1\n"),
    ]);
    stage.pass(
        "local io, skipped = procfs.process_io()
         assert(io.rchar == 15 and io.syscr == 3 and io.processes == 2 and io.closed == 0 and skipped == 0)",
    );
}

#[test]
fn this_machine_agrees_with_readings_of_its_own() {
    let stage = Stage::new();
    stage.pass(
        "local function read(path) local file = assert(io.open(path)) local text = file:read('*a') file:close() return text end
         local function first(text, pattern) return tonumber(text:match(pattern)) end
         local before = read('/proc/stat')
         local stat = procfs.stat()
         local after = read('/proc/stat')
         for name, pattern in pairs({ctxt = 'ctxt (%d+)', processes = 'processes (%d+)', intr = 'intr (%d+)'}) do
           assert(first(before, pattern) <= stat[name] and stat[name] <= first(after, pattern), name)
         end
         assert(stat.btime == first(after, 'btime (%d+)'))
         local _, cpus = after:gsub('\\ncpu%d', '')
         assert(stat.count >= cpus)
         assert(procfs.hostname() == read('/proc/sys/kernel/hostname'):match('%S+'))
         assert(procfs.meminfo().MemTotal == first(read('/proc/meminfo'), 'MemTotal:%s+(%d+)') * 1024)
         local opens = first(read('/proc/net/snmp'), 'Tcp: %-?%d+ %-?%d+ %-?%d+ %-?%d+ (%d+)')
         assert(procfs.snmp().Tcp.ActiveOpens >= opens)
         assert(procfs.process_io().processes > 0)
         assert(procfs.tcp_states().established ~= nil)
         local root
         for _, mount in ipairs(procfs.mounts()) do if mount.mountpoint == '/' then root = mount end end
         assert(root and #procfs.filesystems() > 0)",
    );
}
