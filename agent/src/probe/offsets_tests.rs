//! Tests of what programs need from BTF, on types made up and on those of this kernel.

use super::*;

fn resolve_all(bytes: &[u8]) -> [Resolved; 3] {
    let names = wanted_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let btf = Btf::parse(bytes, &names).unwrap();
    ["block", "tcp", "process"].map(|object| resolve(&btf, object))
}

#[test]
fn the_running_kernel_has_what_is_needed() {
    let Ok(bytes) = std::fs::read(super::super::btf::KERNEL_BTF) else {
        println!("skipped: this kernel has no BTF");
        return;
    };
    for resolved in resolve_all(&bytes) {
        assert!(resolved.unsupported.is_empty(), "{resolved:?}");
        assert!(resolved.settings.len() >= 5, "{resolved:?}");
    }
}

/// The types of four kernels, cut down to what the table looks up. The expected offsets were
/// read with bpftool, and the programs ran on all four with them.
#[test]
fn offsets_follow_the_kernel() {
    let kernels: [(&str, &[u8], [u64; 7]); 4] = [
        (
            "Debian 5.10",
            include_bytes!("../../tests/data/btf/debian-5.10.btf"),
            [184, 0, 16, 0, 540, 48, 3128],
        ),
        (
            "Debian 6.1",
            include_bytes!("../../tests/data/btf/debian-6.1.btf"),
            [104, 1, 16, 1, 516, 48, 3400],
        ),
        (
            "Debian 6.12",
            include_bytes!("../../tests/data/btf/debian-6.12.btf"),
            [104, 1, 2, 1, 574, 48, 3392],
        ),
        (
            "mainline 6.18",
            include_bytes!("../../tests/data/btf/mainline-6.18.btf"),
            [104, 1, 2, 1, 532, 48, 2184],
        ),
    ];
    for (name, bytes, expected) in kernels {
        let resolved = resolve_all(bytes);
        let found = [
            (0, "REQUEST_START"),
            (0, "DISK_VIA_QUEUE"),
            (0, "FLUSH_SEQUENCE"),
            (0, "STATUS_IS_BLK"),
            (1, "SOCK_PROTOCOL"),
            (1, "BUFFER_SEGMENTS"),
            (2, "TASK_READ_STORAGE"),
        ]
        .map(|(object, setting): (usize, _)| resolved[object].settings[setting]);
        assert_eq!(found, expected, "{name}");
        for resolved in resolved {
            assert!(resolved.unsupported.is_empty(), "{name}: {resolved:?}");
            assert!(resolved.reduced.is_empty(), "{name}: {resolved:?}");
        }
    }
}

#[test]
fn what_a_kernel_lacks_is_named() {
    let bytes: &[u8] = include_bytes!("../../tests/data/btf/debian-6.1.btf");
    // Another kernel: the same with three names changed.
    let without = |name: &str| {
        let mut bytes = bytes.to_vec();
        let name = format!("\0{name}\0");
        let at = bytes
            .windows(name.len())
            .position(|window| window == name.as_bytes())
            .unwrap();
        bytes[at + 1] = b'X';
        resolve_all(&bytes)
    };
    let [block, ..] = without("io_start_time_ns");
    assert!(block.unsupported.is_empty());
    assert_eq!(block.settings["HAS_ISSUE"], 0);
    assert_eq!(
        block.reduced,
        [(
            "block_rq_complete",
            "no system.disk.device.latency: \
             struct request has no member io_start_time_ns on this kernel"
                .to_owned()
        )]
    );
    let [_, _, process] = without("read_bytes");
    assert_eq!(
        process.unsupported["walk_tasks"],
        "struct task_struct has no member ioac.read_bytes on this kernel \
         (it was built without CONFIG_TASK_IO_ACCOUNTING)"
    );
    let [_, tcp, _] = without("btf_trace_tcp_send_reset");
    assert_eq!(tcp.unsupported.len(), 1);
    assert_eq!(
        tcp.unsupported["tcp_send_reset"],
        "this kernel has no tracepoint tcp_send_reset"
    );
    let [block, ..] = without("request");
    assert!(block.unsupported["block_rq_complete"].contains("Xequest *"));
}
