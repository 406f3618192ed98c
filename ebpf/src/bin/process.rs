//! Sums the IO of all processes, those that have exited between two readings included.
//!
//! Hooks:
//! - `sched_process_exit` (tp_btf), fired once for every thread that ends: its `task->ioac` is
//!   added to `EXITED`, per CPU;
//! - `iter/task`: a walk over all threads that are alive when the agent reads, summed in `WALK`
//!   and written out as one record at the end. It runs in the reader, needs no CAP_SYS_PTRACE
//!   and opens no file per process.
//!
//! Total = exited + alive. A thread between the two is left out of the walk as soon as it is
//! marked as exiting, so it is never counted twice; for that moment the total is too small, and
//! the reader holds its last value. The walk sees the pid namespace of its reader, the exits of
//! all of them.
#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::generated::bpf_seq_write,
    macros::{btf_tracepoint, map},
    maps::{Array, PerCpuArray},
    programs::BtfTracePointContext,
};
use core::ffi::c_void;
use moonward_ebpf::{
    kernel::{Setting, load},
    process::{Exited, Io, Walk},
};

/// `task_struct.ioac.rchar`.
#[unsafe(no_mangle)]
static TASK_READ_CALLED: Setting = Setting::new(0);
/// `task_struct.ioac.wchar`.
#[unsafe(no_mangle)]
static TASK_WRITE_CALLED: Setting = Setting::new(0);
/// `task_struct.ioac.syscr`.
#[unsafe(no_mangle)]
static TASK_READ_CALLS: Setting = Setting::new(0);
/// `task_struct.ioac.syscw`.
#[unsafe(no_mangle)]
static TASK_WRITE_CALLS: Setting = Setting::new(0);
/// 1: the four above are known (`CONFIG_TASK_XACCT`).
#[unsafe(no_mangle)]
static HAS_CALLS: Setting = Setting::new(0);
/// `task_struct.ioac.read_bytes`.
#[unsafe(no_mangle)]
static TASK_READ_STORAGE: Setting = Setting::new(0);
/// `task_struct.ioac.write_bytes`.
#[unsafe(no_mangle)]
static TASK_WRITE_STORAGE: Setting = Setting::new(0);
/// `task_struct.ioac.cancelled_write_bytes`.
#[unsafe(no_mangle)]
static TASK_CANCELLED: Setting = Setting::new(0);
/// `task_struct.flags`.
#[unsafe(no_mangle)]
static TASK_FLAGS: Setting = Setting::new(0);

/// `PF_EXITING` (include/linux/sched.h): unchanged since 2.6.
const PF_EXITING: u32 = 0x4;

#[map]
static EXITED: PerCpuArray<Exited> = PerCpuArray::with_max_entries(1, 0);
#[map]
static WALK: Array<Walk> = Array::with_max_entries(1, 0);
/// The last totals that the reader gave out; no program touches them. Here, because a map
/// outlives the reader.
#[map]
static HELD: Array<Io> = Array::with_max_entries(1, 0);

#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    if let Some(exited) = EXITED.get_ptr_mut(0) {
        // SAFETY: the loader has checked that the argument is a struct task_struct *; the value
        // is this CPU's own.
        unsafe {
            let exited = &mut *exited;
            exited.threads += 1;
            add(&mut exited.io, task);
        }
    }
    0
}

/// `struct bpf_iter__task` (kernel/bpf/task_iter.c): every pointer is 8 bytes wide for programs.
#[repr(C)]
pub struct TaskContext {
    meta: *const Meta,
    task: *const u8,
}

/// `struct bpf_iter_meta` (include/linux/bpf.h).
#[repr(C)]
struct Meta {
    seq: *mut c_void,
    session: u64,
    number: u64,
}

/// One call for every thread, and a last one with no thread.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn walk_tasks(ctx: *const TaskContext) -> i32 {
    // SAFETY: the kernel gives a context of this layout; its pointers are typed for the verifier
    // and `task` is checked for null.
    unsafe {
        let meta = core::ptr::read_volatile(&raw const (*ctx).meta);
        let task = core::ptr::read_volatile(&raw const (*ctx).task);
        let session = core::ptr::read_volatile(&raw const (*meta).session);
        let number = core::ptr::read_volatile(&raw const (*meta).number);
        let Some(walk) = WALK.get_ptr_mut(0) else {
            return 0;
        };
        let walk = &mut *walk;
        if number == 0 {
            *walk = Walk {
                session,
                disturbed: 0,
                threads: 0,
                io: Io::from_array([0; 7]),
            };
        } else if walk.session != session {
            walk.disturbed = 1;
        }
        if task.is_null() {
            let seq = core::ptr::read_volatile(&raw const (*meta).seq);
            bpf_seq_write(
                seq.cast(),
                (&raw const *walk).cast(),
                size_of::<Walk>() as u32,
            );
            return 0;
        }
        if load::<u32>(task, TASK_FLAGS.load()) & PF_EXITING == 0 {
            walk.threads += 1;
            add(&mut walk.io, task);
        }
    }
    0
}

#[inline(always)]
unsafe fn add(io: &mut Io, task: *const u8) {
    // SAFETY: promised by the caller; the offsets are verified.
    unsafe {
        if HAS_CALLS.load() == 1 {
            io.read_called_bytes += load::<u64>(task, TASK_READ_CALLED.load());
            io.write_called_bytes += load::<u64>(task, TASK_WRITE_CALLED.load());
            io.read_calls += load::<u64>(task, TASK_READ_CALLS.load());
            io.write_calls += load::<u64>(task, TASK_WRITE_CALLS.load());
        }
        io.read_storage_bytes += load::<u64>(task, TASK_READ_STORAGE.load());
        io.write_storage_bytes += load::<u64>(task, TASK_WRITE_STORAGE.load());
        io.cancelled_bytes += load::<u64>(task, TASK_CANCELLED.load());
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
