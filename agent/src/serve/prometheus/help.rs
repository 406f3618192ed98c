//! What each native name means, for the HELP lines.
//!
//! The words are those of the collectors' own pages, in one sentence. Tests here and in
//! `agent/tests/prometheus.rs` hold the table together with the code: whoever adds a series that is
//! a number adds a line.

/// Names with their meanings, sorted by name.
const NATIVE: &[(&str, &str)] = &[
    (
        "moonward.collect.cpu.time",
        "CPU time that each collector and probe reader has used.",
    ),
    (
        "moonward.collect.losses",
        "Values that a collector or probe reader could not read.",
    ),
    (
        "moonward.collect.rounds",
        "Rounds of each collector and probe reader.",
    ),
    (
        "moonward.collect.rounds.skipped",
        "Rounds that were left out because the one before was late.",
    ),
    (
        "moonward.collect.wall.time",
        "Time that the rounds of each collector and probe reader took.",
    ),
    (
        "moonward.http.requests",
        "Requests to the HTTP door, and connections it gave up, by result.",
    ),
    (
        "moonward.part.active",
        "Whether a part of the agent works: 1 when it does, else 0.",
    ),
    (
        "moonward.part.errors",
        "Values or requests that went wrong in a part of the agent.",
    ),
    (
        "moonward.part.runs",
        "Runs of a part of the agent, or questions that it was asked.",
    ),
    (
        "moonward.part.samples",
        "Samples or answers that a part of the agent gave.",
    ),
    (
        "moonward.part.time",
        "Time that a part of the agent spent in its runs.",
    ),
    (
        "moonward.probe.map_memory",
        "Kernel memory of the maps of each probe.",
    ),
    (
        "moonward.probe.missed",
        "Runs of a probe's program that the kernel refused because one was under way.",
    ),
    (
        "moonward.probe.run_time",
        "Time that the kernel spent in a probe's program, where it measures that.",
    ),
    (
        "moonward.probe.runs",
        "Runs of a probe's program, where the kernel counts them.",
    ),
    (
        "moonward.process.cpu.time",
        "CPU time of the agent, by mode.",
    ),
    (
        "moonward.process.memory.usage",
        "Resident memory of the agent.",
    ),
    (
        "moonward.process.start_time",
        "When the agent started, since boot.",
    ),
    ("moonward.process.threads", "Threads of the agent."),
    (
        "moonward.prometheus.left_out",
        "Samples that were left out of texts for Prometheus, by reason.",
    ),
    (
        "moonward.prometheus.render.time",
        "Time in which texts for Prometheus were written.",
    ),
    (
        "moonward.prometheus.samples",
        "Samples in all texts for Prometheus.",
    ),
    (
        "moonward.store.cut",
        "Text values that were cut to the longest that is allowed.",
    ),
    (
        "moonward.store.descriptions",
        "Names that plugins have described.",
    ),
    (
        "moonward.store.descriptions.refused",
        "Descriptions that were refused because of their name or number.",
    ),
    (
        "moonward.store.expired",
        "Series whose time to live has ended.",
    ),
    (
        "moonward.store.refused",
        "Samples that a limit of the store refused, by source.",
    ),
    ("moonward.store.resets", "How often a counter went down."),
    ("moonward.store.samples", "Samples that the store took."),
    ("moonward.store.series", "Series in the store."),
    (
        "moonward.store.series.limit",
        "The most series that the store holds.",
    ),
    (
        "moonward.store.source.series",
        "Series in the store, by source.",
    ),
    (
        "moonward.zabbix.requests",
        "Requests to the Zabbix door, and connections it gave up, by result.",
    ),
    (
        "system.boot.time",
        "When the machine was booted, since 1970-01-01T00:00:00Z.",
    ),
    (
        "system.cpu.context_switches",
        "Context switches of all CPUs.",
    ),
    ("system.cpu.interrupts", "Interrupts of all CPUs."),
    (
        "system.cpu.load_average",
        "Load average: threads that run, wait for a CPU or wait without interruption, over the period.",
    ),
    ("system.cpu.logical.count", "Logical CPUs that are online."),
    (
        "system.cpu.physical.count",
        "Physical CPU cores that are online.",
    ),
    ("system.cpu.softirqs", "Soft interrupts of all CPUs."),
    (
        "system.cpu.time",
        "CPU time by mode; without the label cpu that of the whole machine. Guest time is also in user and nice.",
    ),
    (
        "system.cpu.utilization",
        "Share of the whole machine's CPU time since the last round, by mode.",
    ),
    (
        "system.disk.device.latency",
        "Time from handing a request to the device to its end.",
    ),
    (
        "system.disk.info",
        "The constant 1, with what is known of a block device as labels.",
    ),
    (
        "system.disk.io",
        "Bytes read, written and discarded, by device.",
    ),
    (
        "system.disk.io_time",
        "Time in which the device had operations under way.",
    ),
    (
        "system.disk.latency",
        "Time from the start of a block request to its end.",
    ),
    ("system.disk.limit", "Size of the device."),
    (
        "system.disk.member",
        "The constant 1 for each device that another one is made of.",
    ),
    (
        "system.disk.merged",
        "Operations that were merged with others before they were carried out.",
    ),
    (
        "system.disk.mountpoint",
        "The constant 1 for each mount point that is served by the device.",
    ),
    (
        "system.disk.mountpoints.skipped",
        "Mount points beyond the most that are assigned to devices.",
    ),
    (
        "system.disk.operation_time",
        "Time of all operations together, by device and direction.",
    ),
    (
        "system.disk.operation_time.average",
        "Mean time of an operation since the last round; 0 without operations.",
    ),
    (
        "system.disk.operations",
        "Operations that were completed, by device and direction.",
    ),
    (
        "system.disk.pending_operations",
        "Operations that are under way.",
    ),
    (
        "system.disk.request.count",
        "Block requests that were completed, counted in the kernel.",
    ),
    (
        "system.disk.request.errors",
        "Block requests that failed, by type of error.",
    ),
    (
        "system.disk.request.io",
        "Bytes of completed block requests, counted in the kernel.",
    ),
    (
        "system.disk.request.skipped",
        "Block requests that could not be measured, by reason.",
    ),
    (
        "system.disk.utilization",
        "Share of the time since the last round in which the device had operations under way.",
    ),
    (
        "system.disk.weighted_io_time",
        "Time in which operations were under way, times their number.",
    ),
    (
        "system.filesystem.inodes.limit",
        "Inodes that the file system has.",
    ),
    (
        "system.filesystem.inodes.usage",
        "Inodes that are used and free.",
    ),
    (
        "system.filesystem.inodes.utilization",
        "Share of the inodes that is used.",
    ),
    ("system.filesystem.limit", "Size of the file system."),
    (
        "system.filesystem.mounts.skipped",
        "Mounts beyond the most that are measured.",
    ),
    (
        "system.filesystem.mounts.stuck",
        "Mounts that were asked for their size and have not answered.",
    ),
    (
        "system.filesystem.usage",
        "Bytes of the file system that are used, free, and reserved for root.",
    ),
    (
        "system.filesystem.utilization",
        "Share of the file system that is used, as df shows it.",
    ),
    ("system.hardware.temperature", "Temperature of a sensor."),
    (
        "system.hardware.temperature.limit",
        "Temperature that the maker of a sensor's chip calls high or critical.",
    ),
    (
        "system.linux.aio.count",
        "Requests of asynchronous IO that have been made room for.",
    ),
    (
        "system.linux.aio.limit",
        "The most requests of asynchronous IO.",
    ),
    (
        "system.linux.conntrack.count",
        "Connections that are tracked.",
    ),
    (
        "system.linux.conntrack.limit",
        "The most connections that are tracked.",
    ),
    (
        "system.linux.entropy.available",
        "Entropy in the kernel's pool.",
    ),
    (
        "system.linux.file_handle.count",
        "Open files of the whole machine.",
    ),
    (
        "system.linux.file_handle.limit",
        "The most open files of the whole machine.",
    ),
    (
        "system.linux.inode.count",
        "Inodes in memory that are used and free.",
    ),
    (
        "system.linux.memory.available",
        "Memory that is there for new programs without swapping, as the kernel estimates it.",
    ),
    (
        "system.linux.memory.info",
        "A line of /proc/meminfo, under the kernel's name.",
    ),
    (
        "system.linux.memory.slab.usage",
        "Memory in the kernel's slabs that can and cannot be reclaimed.",
    ),
    (
        "system.linux.oom_kills",
        "Processes that the kernel has killed for want of memory.",
    ),
    (
        "system.linux.pressure.ratio",
        "Share of the window in which some or all tasks waited for a resource.",
    ),
    (
        "system.linux.pressure.time",
        "Time in which some or all tasks waited for a resource.",
    ),
    (
        "system.linux.processes.blocked",
        "Processes that wait for IO to end.",
    ),
    (
        "system.linux.processes.runnable",
        "Processes that run or could run.",
    ),
    (
        "system.linux.threads.runnable",
        "Threads that run or could run.",
    ),
    ("system.linux.threads.total", "Threads that exist."),
    (
        "system.linux.vmstat",
        "A line of /proc/vmstat, under the kernel's name.",
    ),
    ("system.md.degraded", "Disks that an md array lacks."),
    (
        "system.md.disks",
        "Disks that an md array has when it is whole.",
    ),
    (
        "system.md.member.errors",
        "Reads from a member of an md array that failed and were corrected.",
    ),
    (
        "system.md.mismatches",
        "What the last check of an md array found to differ.",
    ),
    (
        "system.md.sync.progress",
        "Share that is done of the check or rebuilding of an md array.",
    ),
    ("system.memory.limit", "Memory of the machine."),
    (
        "system.memory.usage",
        "Memory by state; the states add up to the memory of the machine.",
    ),
    (
        "system.network.carrier",
        "Losses of the carrier while sending.",
    ),
    ("system.network.collisions", "Collisions while sending."),
    (
        "system.network.compressed",
        "Compressed packets that were received and sent.",
    ),
    (
        "system.network.connection.count",
        "TCP connections by state.",
    ),
    (
        "system.network.errors",
        "Errors while receiving and sending.",
    ),
    (
        "system.network.fifo",
        "Overflows of an interface's queue while receiving and sending.",
    ),
    ("system.network.frame", "Frames that were received damaged."),
    (
        "system.network.interfaces.skipped",
        "Interfaces beyond the most that are measured.",
    ),
    (
        "system.network.io",
        "Bytes that were received and sent, by interface.",
    ),
    (
        "system.network.mtu",
        "The largest packet that the interface sends.",
    ),
    (
        "system.network.multicast",
        "Multicast packets that were received.",
    ),
    (
        "system.network.netstat",
        "A counter of /proc/net/netstat, under the kernel's names.",
    ),
    (
        "system.network.packet.count",
        "Packets that were received and sent, by interface.",
    ),
    (
        "system.network.packet.dropped",
        "Packets that were dropped while receiving and sending, by interface.",
    ),
    (
        "system.network.snmp",
        "A figure of /proc/net/snmp or /proc/net/snmp6, under the kernel's names.",
    ),
    ("system.network.sockets", "Sockets by protocol and state."),
    (
        "system.network.sockets.memory",
        "Memory in the buffers of sockets, by protocol.",
    ),
    (
        "system.network.sockets.used",
        "Sockets of every kind that are open.",
    ),
    (
        "system.network.speed",
        "Speed of the interface, where its driver knows it.",
    ),
    (
        "system.network.type",
        "Number of the interface's link type: 1 is Ethernet, 772 loopback.",
    ),
    (
        "system.network.up",
        "Whether the interface is up: 1 when it is, else 0.",
    ),
    (
        "system.numa.allocations",
        "Pages that were allocated on a NUMA node, by how they came to be there.",
    ),
    (
        "system.numa.memory.info",
        "A line of a NUMA node's meminfo, under the kernel's name.",
    ),
    ("system.numa.memory.limit", "Memory of a NUMA node."),
    (
        "system.numa.memory.usage",
        "Memory of a NUMA node by state; the states add up to the memory of the node.",
    ),
    ("system.numa.nodes", "NUMA nodes that are online."),
    (
        "system.paging.faults",
        "Page faults, by whether they had to wait for IO.",
    ),
    (
        "system.paging.io",
        "Bytes that were read from and written to block devices through the page cache.",
    ),
    ("system.paging.limit", "Swap space of the machine."),
    (
        "system.paging.operations",
        "Pages that were swapped in and out.",
    ),
    ("system.paging.usage", "Swap space that is used and free."),
    (
        "system.paging.utilization",
        "Share of the swap space that is used.",
    ),
    ("system.process.count", "Processes by state."),
    (
        "system.process.created",
        "Processes and threads that were created.",
    ),
    (
        "system.process.io",
        "Bytes that all processes, the ended ones included, read and wrote, by layer.",
    ),
    (
        "system.process.io.cancelled",
        "Bytes that were on the way to storage and were deleted before they got there.",
    ),
    (
        "system.process.io.corrections",
        "Rounds in which a sum over processes was held because it would have gone down.",
    ),
    (
        "system.process.io.operations",
        "System calls with which all processes read and wrote.",
    ),
    ("system.process.limit", "The largest process number."),
    (
        "system.process.skipped",
        "Processes beyond the most that are looked at.",
    ),
    ("system.process.threads.exited", "Threads that have ended."),
    (
        "system.tcp.connect.failures",
        "Connections from here that failed, by type of failure.",
    ),
    (
        "system.tcp.connect.latency",
        "Time from the first packet of a connection from here until it stands.",
    ),
    (
        "system.tcp.connections.established",
        "TCP connections that were established, by who began.",
    ),
    (
        "system.tcp.connections.opened",
        "TCP connections that were begun or accepted.",
    ),
    (
        "system.tcp.resets",
        "TCP segments with the reset flag that were sent and received.",
    ),
    (
        "system.tcp.retransmits",
        "TCP segments that were sent again.",
    ),
    (
        "system.tcp.skipped",
        "Events of TCP that could not be measured, by reason.",
    ),
    ("system.thread.count", "Threads of all processes."),
    ("system.thread.limit", "The most threads of the machine."),
    ("system.uptime", "Time since boot, suspended time included."),
    ("system.users.count", "Login sessions."),
    (
        "systemd.unit.active",
        "Whether a unit is active: 1 when it is, also while it reloads, else 0.",
    ),
    ("systemd.units", "Units of systemd by state."),
    (
        "systemd.units.skipped",
        "Units beyond the most that are shown.",
    ),
];

/// What a native name (without tags) means.
pub fn native(name: &str) -> Option<&'static str> {
    let at = NATIVE
        .binary_search_by_key(&name, |(known, _)| known)
        .ok()?;
    NATIVE.get(at).map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_reads_well() {
        assert!(NATIVE.is_sorted_by(|(one, _), (other, _)| one < other));
        for (name, help) in NATIVE {
            assert!(help.ends_with('.') && help.len() < 160, "{name}: {help}");
            assert!(
                help.starts_with(|first: char| first.is_uppercase()),
                "{name}"
            );
            assert_eq!(native(name), Some(*help));
        }
        assert_eq!(native("no.such.name"), None);
    }

    /// Every name of a number that the agent's code puts is in the table, and nothing else is.
    #[test]
    fn the_table_has_every_name_in_the_code() {
        let words = [
            "moonward.part.verdict",
            "system.md.member.state",
            "system.md.state",
            "system.md.sync.action",
            "systemd.system.state",
            "systemd.unit.state",
        ];
        let mut sources = Vec::new();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for room in [
            "app",
            "bus",
            "collect",
            "probe",
            "store",
            "serve/http",
            "telemetry",
        ] {
            read(&root.join(room), &mut sources);
        }
        let mut seen = std::collections::BTreeSet::new();
        for text in &sources {
            for word in text.split('"') {
                let first = word.split_once('.').map_or("", |(first, _)| first);
                let is_name = word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
                if is_name && ["moonward", "system", "systemd"].contains(&first) {
                    seen.insert(word);
                }
            }
        }
        let file = |name: &str| {
            [
                ".service", ".socket", ".toml", ".log", ".so", ".conf", ".slice", ".deb",
            ]
            .iter()
            .any(|end| name.ends_with(end))
        };
        seen.retain(|name| !words.contains(name) && !file(name) && !name.ends_with('.'));
        let known: std::collections::BTreeSet<&str> =
            NATIVE.iter().map(|(name, _)| *name).collect();
        let missing: Vec<_> = seen.difference(&known).collect();
        assert!(missing.is_empty(), "without a meaning: {missing:?}");
        let unused: Vec<_> = known.difference(&seen).collect();
        assert!(unused.is_empty(), "nobody puts {unused:?}");
    }

    fn read(directory: &std::path::Path, texts: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, texts);
            } else {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
}
