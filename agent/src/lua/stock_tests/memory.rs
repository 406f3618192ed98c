//! Processors, memory, IO, temperature.

use super::Machine;
use crate::model::{Batch, Unit};

/// What two passes of `cpu` put on a machine whose files are these.
fn cpu(before: &str, after: &str) -> Machine {
    let machine = Machine::bare();
    machine.write("proc/stat", before);
    let run = machine.first("cpu", "");
    machine.write("proc/stat", after);
    machine.next(&run);
    machine
}

#[test]
fn zalua_66_cpu_tells_jiffies_per_second_of_each_processor_and_of_all() {
    let machine = cpu(
        "cpu  1000 10 2000 90000 300 0 40 5 60 7 9999\n\
         cpu0 400 4 800 45000 100 0 20 2 60 0\n\
         cpu2 600 6 1200 45000 200 0 20 3 0 7\n\
         intr 5000 1 2 3\nctxt 70000\nbtime 1690000000\nprocesses 800\nprocs_running 3\nprocs_blocked 1\n",
        "cpu  7000 10 2600 90600 300 0 46 5 120 7 9999\n\
         cpu0 6400 4 1400 45300 100 0 26 2 120 0\n\
         cpu2 600 6 1200 45300 200 0 20 3 0 7\n\
         intr 11000 1 2 3\nctxt 130000\nbtime 1690000000\nprocesses 830\nprocs_running 4\nprocs_blocked 0\n",
    );
    assert_eq!(
        machine.seen("system.cpu.*"),
        "system.cpu.0.guest 1.00 [gauge 1/s]\n\
         system.cpu.0.guest_nice 0.0000 [gauge 1/s]\n\
         system.cpu.0.idle 5.00 [gauge 1/s]\n\
         system.cpu.0.iowait 0.0000 [gauge 1/s]\n\
         system.cpu.0.irq 0.0000 [gauge 1/s]\n\
         system.cpu.0.nice 0.0000 [gauge 1/s]\n\
         system.cpu.0.softirq 0.10 [gauge 1/s]\n\
         system.cpu.0.steal 0.0000 [gauge 1/s]\n\
         system.cpu.0.system 10.00 [gauge 1/s]\n\
         system.cpu.0.user 100.00 [gauge 1/s]\n\
         system.cpu.2.guest 0.0000 [gauge 1/s]\n\
         system.cpu.2.guest_nice 0.0000 [gauge 1/s]\n\
         system.cpu.2.idle 5.00 [gauge 1/s]\n\
         system.cpu.2.iowait 0.0000 [gauge 1/s]\n\
         system.cpu.2.irq 0.0000 [gauge 1/s]\n\
         system.cpu.2.nice 0.0000 [gauge 1/s]\n\
         system.cpu.2.softirq 0.0000 [gauge 1/s]\n\
         system.cpu.2.steal 0.0000 [gauge 1/s]\n\
         system.cpu.2.system 0.0000 [gauge 1/s]\n\
         system.cpu.2.user 0.0000 [gauge 1/s]\n\
         system.cpu.count 3.00 [gauge]\n\
         system.cpu.total.guest 1.00 [gauge 1/s]\n\
         system.cpu.total.guest_nice 0.0000 [gauge 1/s]\n\
         system.cpu.total.idle 10.00 [gauge 1/s]\n\
         system.cpu.total.iowait 0.0000 [gauge 1/s]\n\
         system.cpu.total.irq 0.0000 [gauge 1/s]\n\
         system.cpu.total.nice 0.0000 [gauge 1/s]\n\
         system.cpu.total.softirq 0.10 [gauge 1/s]\n\
         system.cpu.total.steal 0.0000 [gauge 1/s]\n\
         system.cpu.total.system 10.00 [gauge 1/s]\n\
         system.cpu.total.user 100.00 [gauge 1/s]"
    );
    assert_eq!(
        machine.seen("system.processes.*") + "\n" + &machine.seen("system.stat.*"),
        "system.processes.blocked 0.000000 [gauge]\n\
         system.processes.fork_rate 0.50 [gauge 1/s]\n\
         system.processes.running 4.00 [gauge]\n\
         system.stat.ctxt 1000.00 [gauge 1/s]\n\
         system.stat.intr 100.00 [gauge 1/s]"
    );
}

#[test]
fn zalua_66_cpu_runs_on_what_an_old_kernel_says() {
    let machine = Machine::recorded("minimal");
    let run = machine.first("cpu", "");
    machine.next(&run);
    assert_eq!(machine.value("system.cpu.total.softirq"), "0.0000");
    assert_eq!(machine.value("system.cpu.total.steal"), "-");
    assert_eq!(machine.value("system.processes.running"), "1.00");
    assert_eq!(machine.value("system.processes.blocked"), "-");
}

#[test]
fn zalua_66_memory_is_whole_bytes_as_text() {
    let machine = Machine::bare();
    let meminfo = "MemTotal:       16318568 kB\nMemFree:         1234567 kB\nMemAvailable:    9000000 kB\n\
                   Buffers:          345678 kB\nCached:          7654321 kB\nShmem:            111222 kB\n\
                   HugePages_Total:      16\n";
    machine.write("proc/meminfo", meminfo);
    let run = machine.first("memory", "");
    assert_eq!(
        machine.seen("system.memory.*"),
        "system.memory.buffers 353974272 [text]\n\
         system.memory.cached 7838024704 [text]\n\
         system.memory.free 1264196608 [text]\n\
         system.memory.other 7607992320 [text]\n\
         system.memory.shared 113891328 [text]"
    );
    machine.write("proc/meminfo", &meminfo.replace("1234567 kB", "0 kB"));
    machine.next(&run);
    assert_eq!(machine.value("system.memory.free"), "0");
    assert_eq!(machine.value("system.memory.other"), "8872188928");
}

fn put_io(machine: &Machine, called: u64, fetched: u64, calls: u64) {
    let mut batch = Batch::new();
    for (layer, bytes) in [("syscall", called), ("storage", fetched)] {
        let tags = [("direction", "read"), ("layer", layer)];
        batch.counter("system.process.io", &tags, Unit::BYTES, bytes);
    }
    for (direction, calls) in [("read", calls), ("write", 2 * calls)] {
        let tags = [("direction", direction)];
        batch.counter("system.process.io.operations", &tags, Unit::NONE, calls);
    }
    machine.stage.store.put("process", &batch, None);
}

#[test]
fn zalua_68_read_hit_is_what_was_read_for_each_byte_that_was_fetched() {
    let machine = Machine::bare();
    put_io(&machine, 1_000_000, 500_000, 600);
    let run = machine.first("io", "");
    assert_eq!(machine.seen("system.io.*"), "");
    machine.advance(60);
    put_io(&machine, 9_000_000, 2_500_000, 1200);
    machine.again(&run);
    assert_eq!(
        machine.seen("system.io.*"),
        "system.io.read_hit 4.00 [gauge]\n\
         system.io.syscr 10.00 [gauge 1/s]\n\
         system.io.syscw 20.00 [gauge 1/s]"
    );
    // Nothing was fetched, and then somebody began to count anew.
    for (called, fetched) in [(9_500_000, 2_500_000), (100, 50)] {
        machine.advance(60);
        put_io(&machine, called, fetched, 1200);
        machine.again(&run);
        assert_eq!(machine.value("system.io.read_hit"), "0.000000");
    }
}

#[test]
fn zalua_68_a_run_between_two_rounds_of_the_collectors_changes_nothing() {
    let machine = Machine::bare();
    put_io(&machine, 1_000_000, 500_000, 600);
    let run = machine.first("io", "");
    for round in 1..4 {
        machine.advance(5);
        machine.again(&run);
        machine.advance(5);
        put_io(
            &machine,
            1_000_000 + round * 8_000,
            500_000 + round * 2_000,
            600 + round * 100,
        );
        for _ in 0..3 {
            machine.again(&run);
            assert_eq!(
                machine.seen("system.io.*"),
                "system.io.read_hit 4.00 [gauge]\n\
                 system.io.syscr 10.00 [gauge 1/s]\n\
                 system.io.syscw 20.00 [gauge 1/s]"
            );
        }
    }
}

#[test]
fn zalua_68_without_such_series_the_processes_are_summed_up() {
    let machine = Machine::recorded("two-nodes");
    let processes = procfs_processes(&machine);
    let run = machine.first("io", "");
    let io = "rchar: 1000\nwchar: 0\nsyscr: 60\nsyscw: 120\nread_bytes: 100\nwrite_bytes: 0\n\
              cancelled_write_bytes: 0\n";
    // One more that reads a thousand bytes of which a hundred are fetched.
    let directory = format!("proc/{}", processes + 1);
    for file in ["stat", "status", "comm", "cmdline"] {
        let from = std::fs::read(machine.path("proc/1").join(file)).unwrap();
        std::fs::create_dir_all(machine.path(&directory)).unwrap();
        std::fs::write(machine.path(&directory).join(file), from).unwrap();
    }
    machine.write(&format!("{directory}/io"), io);
    machine.next(&run);
    assert_eq!(
        machine.seen("system.io.*"),
        "system.io.read_hit 10.00 [gauge]\n\
         system.io.syscr 1.00 [gauge 1/s]\n\
         system.io.syscw 2.00 [gauge 1/s]"
    );
}

#[test]
fn zalua_68_sums_from_another_source_make_no_spike() {
    let machine = Machine::recorded("two-nodes");
    // At the start of the service nobody has counted yet; then the kernel has, from far below.
    let run = machine.first("io", "");
    machine.advance(60);
    put_io(&machine, 2_000_000_000_000, 500_000_000_000, 900_000_000);
    machine.again(&run);
    assert_eq!(machine.seen("system.io.*"), "");
    machine.advance(60);
    put_io(
        &machine,
        2_000_000_000_800,
        500_000_000_200,
        900_000_000 + 600,
    );
    machine.again(&run);
    let expected = "system.io.read_hit 4.00 [gauge]\n\
                    system.io.syscr 10.00 [gauge 1/s]\n\
                    system.io.syscw 20.00 [gauge 1/s]";
    assert_eq!(machine.seen("system.io.*"), expected);
    // The plugin is started anew, and the sums have grown meanwhile.
    run.stop();
    machine.stage.wait(&run).unwrap_err();
    machine.advance(60);
    put_io(&machine, 3_000_000_000_000, 600_000_000_000, 990_000_000);
    machine.first("io", "");
    assert_eq!(machine.seen("system.io.*"), expected, "nothing is put");
}

#[test]
fn zalua_68_the_sums_over_a_few_processes_are_not_given_out() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let machine = Machine::with(|options| options.log = Some(log.clone()));
    // What an account without rights sees: its own process.
    machine.write("proc/7/io", "rchar: 1\nsyscr: 1\nsyscw: 1\nread_bytes: 1\n");
    let run = machine.first(
        "io",
        "[(function()
            local read = procfs.process_io
            function procfs.process_io()
              local io = read()
              io.closed = 30
              io.syscr = io.syscr + time.unix()
              return io, io.closed
            end
          end)() or 1] = 1",
    );
    let lines = || std::fs::read_to_string(&log).unwrap_or_default();
    assert_eq!(lines(), "", "the collectors may be on their way");
    for _ in 0..3 {
        machine.next(&run);
        assert_eq!(machine.seen("system.io.*"), "");
        assert_eq!(lines().lines().count(), 1, "{}", lines());
    }
    assert!(
        lines().contains("[ERROR] there is no system.io.*") && lines().contains("of 30 processes"),
        "{}",
        lines()
    );
    // Somebody counts for a while.
    for calls in [600, 1200] {
        machine.advance(60);
        put_io(&machine, calls, calls, calls);
        machine.again(&run);
    }
    assert_eq!(machine.value("system.io.syscr"), "10.00");
    assert_eq!(lines().lines().count(), 1);
    machine.advance(3600);
    machine.again(&run);
    assert_eq!(machine.seen("system.io.*"), "");
    assert_eq!(lines().lines().count(), 2);
}

/// The highest number of a process.
fn procfs_processes(machine: &Machine) -> u32 {
    let names = std::fs::read_dir(machine.path("proc")).unwrap();
    names
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .max()
        .unwrap()
}

#[test]
fn zalua_66_temperature_is_that_of_the_hottest_sensor_of_a_processor() {
    let machine = Machine::recorded("two-nodes");
    let run = machine.first("temperature", "");
    assert_eq!(
        machine.seen("system.cpu.*"),
        "system.cpu.temp 61.00 [gauge]\nsystem.cpu.temp_crit 94.00 [gauge]"
    );
    // The second processor gets hotter, and has another limit.
    machine.write("sys/class/hwmon/hwmon1/temp1_input", "71500\n");
    machine.write("sys/class/hwmon/hwmon1/temp1_crit", "100000\n");
    machine.next(&run);
    assert_eq!(
        machine.seen("system.cpu.*"),
        "system.cpu.temp 71.50 [gauge]\nsystem.cpu.temp_crit 100.00 [gauge]"
    );
}

#[test]
fn zalua_66_temperature_knows_the_place_of_old_kernels() {
    let machine = Machine::bare();
    machine.write("sys/bus/platform/devices/coretemp.0/temp2_input", "45000\n");
    machine.write("sys/bus/platform/devices/coretemp.0/temp2_crit", "99000\n");
    machine.write("sys/bus/platform/devices/coretemp.1/temp2_input", "44000\n");
    machine.write("sys/bus/platform/devices/coretemp.1/temp2_crit", "80000\n");
    machine.first("temperature", "");
    assert_eq!(machine.value("system.cpu.temp"), "45.00");
    assert_eq!(machine.value("system.cpu.temp_crit"), "99.00");
}

#[test]
fn zalua_66_numa_tells_pages_per_second_of_each_node_and_of_all() {
    let machine = Machine::recorded("two-nodes");
    let run = machine.first("numa", "");
    machine.change(
        "sys/devices/system/node/node0/numastat",
        &[
            ("numa_hit 98234123471", "numa_hit 98234129471"),
            ("numa_miss 18273", "numa_miss 18333"),
        ],
    );
    machine.change(
        "sys/devices/system/node/node1/numastat",
        &[
            ("numa_hit 87123984712", "numa_hit 87123990712"),
            ("other_node 223861256", "other_node 223861286"),
        ],
    );
    machine.next(&run);
    let mut expected = Vec::new();
    for (kind, speeds) in [
        ("interleave_hit", ["0.0000", "0.0000", "0.0000"]),
        ("local_node", ["0.0000", "0.0000", "0.0000"]),
        ("numa_foreign", ["0.0000", "0.0000", "0.0000"]),
        ("numa_hit", ["100.00", "100.00", "200.00"]),
        ("numa_miss", ["1.00", "0.0000", "1.00"]),
        ("other_node", ["0.0000", "0.50", "0.50"]),
    ] {
        for (node, speed) in ["0", "1", "total"].iter().zip(speeds) {
            expected.push(format!("system.numa.{kind}[{node}] {speed} [gauge 1/s]"));
        }
    }
    assert_eq!(machine.seen("system.numa.*_*"), expected.join("\n"));
}

#[test]
fn zalua_69_nodes_that_cannot_be_read_for_a_while_stay_discovered() {
    let machine = Machine::recorded("two-nodes");
    let run = machine.first("numa", "");
    let discovery = machine.value("system.numa.discovery");
    let one = machine.path("sys/devices/system/node/node1/numastat");
    let text = std::fs::read(&one).unwrap();
    std::fs::remove_file(&one).unwrap();
    machine.next(&run);
    assert_eq!(machine.value("system.numa.discovery"), discovery);
    assert_eq!(machine.seen("system.numa.*_*"), "");
    std::fs::write(&one, text).unwrap();
    machine.next(&run);
    machine.next(&run);
    assert_eq!(machine.value("system.numa.discovery"), discovery);
    assert_eq!(machine.value("system.numa.numa_hit[1]"), "0.0000");
}

#[test]
fn zalua_69_numa_is_discovered_by_node() {
    let machine = Machine::recorded("two-nodes");
    machine.first("numa", "");
    assert_eq!(
        machine.value("system.numa.discovery"),
        r#"{"data":[{"{#NUMA_NODE}":"0"},{"{#NUMA_NODE}":"1"},{"{#NUMA_NODE}":"total"}]}"#
    );
}
