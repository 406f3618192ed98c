//! What each program needs to know of the kernel, resolved from the kernel's own BTF.
//!
//! A table of members and tracepoint arguments by name. What a program cannot do without and the
//! kernel has not makes that program unsupported, with the reason; what is optional costs one
//! series. Nothing here asks for a kernel version.

use std::collections::BTreeMap;

use super::btf::{Argument, Btf, Missing};

/// A program, and where it attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The object that holds it: `block`, `tcp` or `process`.
    pub object: &'static str,
    /// Its function.
    pub name: &'static str,
    /// How it is attached.
    pub hook: Hook,
    /// What a reader of the status learns about it.
    pub purpose: &'static str,
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A tracepoint, with the leading arguments the program reads.
    Tracepoint(&'static str, &'static [Wanted]),
    /// An iterator over the kernel's objects of a kind.
    Iterator(&'static str),
}

/// An argument that a program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A pointer to the structure.
    Pointer(&'static str),
    /// Any number.
    Number,
}

use Wanted::{Number, Pointer};

/// Every program. The order is that of the status list.
pub const PROGRAMS: &[Program] = &[
    Program {
        object: "block",
        name: "block_rq_complete",
        hook: Hook::Tracepoint("block_rq_complete", &[Pointer("request"), Number, Number]),
        purpose: "requests, bytes, errors and latency of disks",
    },
    Program {
        object: "tcp",
        name: "inet_sock_set_state",
        hook: Hook::Tracepoint("inet_sock_set_state", &[Pointer("sock"), Number, Number]),
        purpose: "TCP connections, failures and connect latency",
    },
    Program {
        object: "tcp",
        name: "tcp_retransmit_skb",
        hook: Hook::Tracepoint("tcp_retransmit_skb", &[Pointer("sock"), Pointer("sk_buff")]),
        purpose: "TCP segments sent again",
    },
    Program {
        object: "tcp",
        name: "tcp_retransmit_synack",
        hook: Hook::Tracepoint("tcp_retransmit_synack", &[Pointer("sock")]),
        purpose: "TCP SYN-ACKs sent again",
    },
    Program {
        object: "tcp",
        name: "tcp_send_reset",
        hook: Hook::Tracepoint("tcp_send_reset", &[Pointer("sock")]),
        purpose: "TCP resets sent",
    },
    Program {
        object: "tcp",
        name: "tcp_receive_reset",
        hook: Hook::Tracepoint("tcp_receive_reset", &[Pointer("sock")]),
        purpose: "TCP resets received",
    },
    Program {
        object: "process",
        name: "sched_process_exit",
        hook: Hook::Tracepoint("sched_process_exit", &[Pointer("task_struct")]),
        purpose: "IO of processes that have exited",
    },
    Program {
        object: "process",
        name: "walk_tasks",
        hook: Hook::Iterator("task"),
        purpose: "IO of processes that are alive",
    },
];

/// A member whose offset in bytes goes into a global of the object.
struct Need(&'static str, &'static str, &'static str, u32);

const BLOCK: &[Need] = &[
    Need("DISK_MAJOR", "gendisk", "major", 32),
    Need("DISK_MINOR", "gendisk", "first_minor", 32),
    Need("REQUEST_COMMAND", "request", "cmd_flags", 32),
    Need("REQUEST_FLAGS", "request", "rq_flags", 32),
    Need("REQUEST_LENGTH", "request", "__data_len", 32),
    Need("REQUEST_START", "request", "start_time_ns", 64),
];
const BLOCK_ISSUE: &[Need] = &[Need("REQUEST_ISSUE", "request", "io_start_time_ns", 64)];
const BLOCK_VIA_QUEUE: &[Need] = &[
    Need("REQUEST_QUEUE", "request", "q", 64),
    Need("QUEUE_DISK", "request_queue", "disk", 64),
];
const BLOCK_DIRECT: &[Need] = &[Need("REQUEST_QUEUE", "request", "rq_disk", 64)];
const TCP_FAMILY: &[Need] = &[Need("SOCK_FAMILY", "sock", "__sk_common.skc_family", 16)];
const TCP_STATE: &[Need] = &[
    Need("SOCK_PROTOCOL", "sock", "sk_protocol", 16),
    Need("SOCK_ERROR", "sock", "sk_err", 32),
];
const TCP_SEGMENTS_OUT: &[Need] = &[Need("TCP_SEGMENTS_OUT", "tcp_sock", "segs_out", 32)];
const PROCESS: &[Need] = &[
    Need("TASK_READ_STORAGE", "task_struct", "ioac.read_bytes", 64),
    Need("TASK_WRITE_STORAGE", "task_struct", "ioac.write_bytes", 64),
    Need(
        "TASK_CANCELLED",
        "task_struct",
        "ioac.cancelled_write_bytes",
        64,
    ),
];
const PROCESS_FLAGS: &[Need] = &[Need("TASK_FLAGS", "task_struct", "flags", 32)];
const PROCESS_CALLS: &[Need] = &[
    Need("TASK_READ_CALLED", "task_struct", "ioac.rchar", 64),
    Need("TASK_WRITE_CALLED", "task_struct", "ioac.wchar", 64),
    Need("TASK_READ_CALLS", "task_struct", "ioac.syscr", 64),
    Need("TASK_WRITE_CALLS", "task_struct", "ioac.syscw", 64),
];

/// Names that must be given to [`Btf::parse`] for [`resolve`] to find everything.
pub fn wanted_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "request",
        "request_queue",
        "gendisk",
        "sock",
        "sk_buff",
        "tcp_skb_cb",
        "tcp_sock",
        "task_struct",
        "__RQF_FLUSH_SEQ",
    ]
    .map(str::to_owned)
    .to_vec();
    for program in PROGRAMS {
        if let Hook::Tracepoint(name, _) = program.hook {
            names.push(format!("btf_trace_{name}"));
        }
    }
    names
}

/// What was found for one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Globals of the object and their values.
    pub settings: BTreeMap<&'static str, u64>,
    /// Programs that this kernel cannot run, and why.
    pub unsupported: BTreeMap<&'static str, String>,
    /// Optional members that are missing: program, and what it loses.
    pub reduced: Vec<(&'static str, String)>,
}

impl Resolved {
    fn require(&mut self, btf: &Btf<'_>, programs: &[&'static str], needs: &[Need], hint: &str) {
        if let Err(missing) = self.find(btf, needs) {
            for program in programs {
                self.unsupported
                    .entry(program)
                    .or_insert_with(|| format!("{missing}{hint}"));
            }
        }
    }

    fn optional(
        &mut self,
        btf: &Btf<'_>,
        program: &'static str,
        flag: &'static str,
        needs: &[Need],
        loss: &str,
    ) {
        let found = self.find(btf, needs);
        self.settings.insert(flag, u64::from(found.is_ok()));
        if let Err(missing) = found {
            self.reduced.push((program, format!("{loss}: {missing}")));
        }
    }

    fn find(&mut self, btf: &Btf<'_>, needs: &[Need]) -> Result<(), Missing> {
        for Need(global, structure, path, bits) in needs {
            let offset = byte_offset(btf, structure, path, *bits)?;
            self.settings.insert(global, offset);
        }
        Ok(())
    }
}

fn byte_offset(btf: &Btf<'_>, structure: &str, path: &str, bits: u32) -> Result<u64, Missing> {
    let field = btf.field(structure, path)?;
    if field.bits != bits || field.bit_offset % 8 != 0 {
        return Err(Missing::Width {
            structure: structure.to_owned(),
            member: path.to_owned(),
            found: field.bits,
            wanted: bits,
        });
    }
    Ok(u64::from(field.bit_offset / 8))
}

/// Resolves everything that the programs of `object` need.
pub fn resolve(btf: &Btf<'_>, object: &str) -> Resolved {
    let mut resolved = Resolved::default();
    for program in PROGRAMS.iter().filter(|program| program.object == object) {
        if let Hook::Tracepoint(name, wanted) = program.hook
            && let Err(missing) = check_arguments(btf, name, wanted)
        {
            resolved
                .unsupported
                .insert(program.name, missing.to_string());
        }
    }
    match object {
        "block" => block(btf, &mut resolved),
        "tcp" => tcp(btf, &mut resolved),
        "process" => process(btf, &mut resolved),
        _ => {}
    }
    resolved
}

fn check_arguments(btf: &Btf<'_>, tracepoint: &str, wanted: &[Wanted]) -> Result<(), Missing> {
    let found = btf.tracepoint(tracepoint)?;
    let fits = found.len() >= wanted.len()
        && found.iter().zip(wanted).all(|pair| match pair {
            (Argument::Pointer(found), Pointer(wanted)) => found == wanted,
            (Argument::Scalar(_), Number) => true,
            _ => false,
        });
    if fits {
        return Ok(());
    }
    let found: Vec<String> = found
        .iter()
        .map(|argument| match argument {
            Argument::Pointer(name) => format!("{name} *"),
            Argument::Scalar(name) => name.clone(),
        })
        .collect();
    let wanted: Vec<String> = wanted
        .iter()
        .map(|argument| match argument {
            Pointer(name) => format!("{name} *"),
            Number => "number".to_owned(),
        })
        .collect();
    Err(Missing::Arguments {
        tracepoint: tracepoint.to_owned(),
        found: found.join(", "),
        wanted: wanted.join(", "),
    })
}

fn block(btf: &Btf<'_>, resolved: &mut Resolved) {
    const PROGRAM: &str = "block_rq_complete";
    resolved.require(btf, &[PROGRAM], BLOCK, "");
    // The disk hung on the request until 5.16, and hangs on its queue since 5.15.
    let via_queue = btf.field("request_queue", "disk").is_ok();
    resolved
        .settings
        .insert("DISK_VIA_QUEUE", u64::from(via_queue));
    let path = if via_queue {
        BLOCK_VIA_QUEUE
    } else {
        BLOCK_DIRECT
    };
    resolved.require(btf, &[PROGRAM], path, "");
    resolved.optional(
        btf,
        PROGRAM,
        "HAS_ISSUE",
        BLOCK_ISSUE,
        "no system.disk.device.latency",
    );
    // The bits are an enumeration in newer kernels. Before, they were macros, and this one was
    // (1 << 4) in all of them.
    let bit = btf
        .enumerator("__RQF_FLUSH_SEQ")
        .and_then(|bit| u32::try_from(bit).ok())
        .filter(|bit| *bit < 32)
        .unwrap_or(4);
    resolved.settings.insert("FLUSH_SEQUENCE", 1 << bit);
    let status = btf.tracepoint("block_rq_complete").ok();
    let is_blk = matches!(
        status.as_deref(),
        Some([_, Argument::Scalar(name), ..]) if name == "blk_status_t"
    );
    resolved.settings.insert("STATUS_IS_BLK", u64::from(is_blk));
}

fn tcp(btf: &Btf<'_>, resolved: &mut Resolved) {
    let all: Vec<&'static str> = PROGRAMS
        .iter()
        .filter(|program| program.object == "tcp")
        .map(|program| program.name)
        .collect();
    resolved.require(btf, &all, TCP_FAMILY, "");
    resolved.require(btf, &["inet_sock_set_state"], TCP_STATE, "");
    resolved.optional(
        btf,
        "inet_sock_set_state",
        "HAS_SEGMENTS_OUT",
        TCP_SEGMENTS_OUT,
        "connects that failed before a SYN count as aborted",
    );
    let segments = byte_offset(btf, "sk_buff", "cb", 48 * 8).and_then(|control| {
        byte_offset(btf, "tcp_skb_cb", "tcp_gso_segs", 16).map(|segments| control + segments)
    });
    resolved
        .settings
        .insert("HAS_BUFFER_SEGMENTS", u64::from(segments.is_ok()));
    match segments {
        Ok(offset) => {
            resolved.settings.insert("BUFFER_SEGMENTS", offset);
        }
        Err(missing) => resolved.reduced.push((
            "tcp_retransmit_skb",
            format!("retransmits count buffers, not segments: {missing}"),
        )),
    }
}

fn process(btf: &Btf<'_>, resolved: &mut Resolved) {
    let both = ["sched_process_exit", "walk_tasks"];
    resolved.require(
        btf,
        &both,
        PROCESS,
        " (it was built without CONFIG_TASK_IO_ACCOUNTING)",
    );
    resolved.require(btf, &["walk_tasks"], PROCESS_FLAGS, "");
    resolved.optional(
        btf,
        "sched_process_exit",
        "HAS_CALLS",
        PROCESS_CALLS,
        "no system.process.io of layer=syscall (it was built without CONFIG_TASK_XACCT)",
    );
}

#[cfg(test)]
#[path = "offsets_tests.rs"]
mod tests;
