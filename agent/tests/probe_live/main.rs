//! The probes in the running kernel: they load, count what happens, and live on over a restart.
//!
//! Values are compared with the kernel's own files, read just before and just after, so that what
//! the machine does besides is in both. Without the objects, the capabilities or BTF each test
//! says that it was skipped.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop, and says what it compared"
)]

mod disk;
mod process;
mod tcp;

use std::fs;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use moonward::app::privileges;
use moonward::model::{Batch, Clock};
use moonward::probe::{Config, Object, Probes};
use moonward::telemetry::status::Verdict;

/// The tests make traffic that the others would see.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn load(config: Config) -> Option<Probes> {
    let (probes, _) = Probes::load(config, Vec::new());
    let skipped = probes.verdicts().iter().find_map(|verdict| {
        let Verdict::Unsupported(reason) = &verdict.verdict else {
            return None;
        };
        Some(format!("{}: {reason}", verdict.program))
    });
    if let Some(reason) = skipped {
        println!("skipped: {reason}");
        return None;
    }
    for verdict in probes.verdicts() {
        assert!(
            matches!(verdict.verdict, Verdict::Active | Verdict::Off),
            "{verdict:?}"
        );
    }
    Some(probes)
}

fn only(object: Object) -> Config {
    Config {
        block: object == Object::Block,
        tcp: object == Object::Tcp,
        process: object == Object::Process,
    }
}

/// The samples of one object: series and value.
type Samples = Vec<(String, f64)>;

fn samples(probes: &mut Probes, object: Object) -> Samples {
    let mut batch = Batch::new();
    probes.read(object, &mut batch).unwrap();
    assert_eq!(batch.refused(), 0);
    batch
        .iter()
        .map(|sample| {
            (
                sample.series.as_str().to_owned(),
                sample.value.as_f64().unwrap_or(f64::NAN),
            )
        })
        .collect()
}

fn sum(samples: &Samples, parts: &[&str]) -> f64 {
    samples
        .iter()
        .filter(|(series, _)| parts.iter().all(|part| series.contains(part)))
        .map(|(_, value)| value)
        .sum()
}

/// Whether what a probe found lies between what the kernel's file says of a shorter and of a
/// longer time, number by number; and that something was compared at all.
fn agrees<const N: usize>(
    names: [&str; N],
    found: [f64; N],
    inner: [[f64; N]; 2],
    outer: [[f64; N]; 2],
) -> bool {
    let mut agrees = true;
    let mut compared = 0;
    for (index, name) in names.iter().enumerate() {
        let least = inner[1][index] - inner[0][index];
        let most = outer[1][index] - outer[0][index];
        println!(
            "{name}: {} (the kernel says {least} to {most})",
            found[index]
        );
        agrees &= least <= found[index] && found[index] <= most;
        compared += usize::from(least > 0.0);
    }
    assert!(compared >= 3, "nothing happened");
    agrees
}

/// Until one attempt agrees to the last request. Kernels that hide some of their events from
/// programs exist (virtual machines whose owner looks in), so a single attempt may fall short.
fn repeat(mut attempt: impl FnMut() -> bool) {
    const ATTEMPTS: usize = 12;
    assert!(
        (0..ATTEMPTS).any(|_| attempt()),
        "none of {ATTEMPTS} attempts agreed with the kernel's own counters"
    );
}

#[test]
fn every_program_loads_and_attaches() {
    let _alone = alone();
    let start = Clock::System.now();
    let Some(mut probes) = load(Config::default()) else {
        return;
    };
    let took = Clock::System.now().since(start);
    assert_eq!(probes.objects().len(), 3);
    assert_eq!(probes.verdicts().len(), 8);
    assert!(probes.stored_descriptors().len() <= Probes::STORED_MAX);
    assert!(probes.obsolete_descriptors().is_empty());
    let mut count = 0;
    for object in Object::ALL {
        let start = Clock::System.now();
        count += samples(&mut probes, object).len();
        println!("{object:?} read in {:?}", Clock::System.now().since(start));
    }
    assert!(count > 30, "{count}");
    println!(
        "loaded in {took:?}, {} bytes of maps, {} descriptors, {count} samples",
        probes.map_memory(),
        probes.stored_descriptors().len()
    );
}

fn exported(probes: &Probes) -> Vec<(String, OwnedFd)> {
    probes
        .stored_descriptors()
        .into_iter()
        .map(|(name, descriptor)| (name, descriptor.try_clone_to_owned().unwrap()))
        .collect()
}

#[test]
fn counters_go_on_after_a_restart() {
    let _alone = alone();
    let Some(mut first) = load(Config::default()) else {
        return;
    };
    tcp::tcp_work();
    let before = samples(&mut first, Object::Tcp);
    let process_before = samples(&mut first, Object::Process);
    let stored = exported(&first);
    for (name, _) in &stored {
        assert!(
            !name.contains(':') && name.len() < 255 && name.is_ascii(),
            "{name}"
        );
    }
    drop(first);

    // Nobody but the store holds anything now; the programs count on.
    tcp::tcp_work();
    let other = fs::File::open("/dev/null").unwrap();
    let inherited = stored
        .into_iter()
        .chain([
            ("http.socket".to_owned(), other.try_clone().unwrap().into()),
            ("map.tcp.COUNTERS.old".to_owned(), other.into()),
        ])
        .collect();
    let start = Clock::System.now();
    let (mut second, others) = Probes::load(Config::default(), inherited);
    println!("adopted in {:?}", Clock::System.now().since(start));
    assert_eq!(others.len(), 1);
    assert_eq!(second.obsolete_descriptors(), ["map.tcp.COUNTERS.old"]);
    assert_eq!(second.adopted(), Object::ALL);
    for verdict in second.verdicts() {
        assert_eq!(verdict.verdict, Verdict::Active, "{verdict:?}");
    }
    let after = samples(&mut second, Object::Tcp);
    let opened = &["connections.opened", "\"connect\""];
    let delta = sum(&after, opened) - sum(&before, opened);
    assert!(delta >= 120.0, "{delta}");
    let process_after = samples(&mut second, Object::Process);
    for ((series, before), (_, after)) in process_before.iter().zip(&process_after) {
        if series.starts_with("system.process.io{") {
            assert!(after >= before, "{series}");
        }
    }

    // An object that is no longer wanted is given up, with all its names.
    let stored = exported(&second);
    drop(second);
    let (third, _) = Probes::load(only(Object::Block), stored);
    assert_eq!(third.adopted(), [Object::Block]);
    assert!(
        third
            .obsolete_descriptors()
            .iter()
            .any(|name| name.starts_with("link.tcp.inet_sock_set_state."))
    );
}

/// Major and minor version.
fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap();
    let mut parts = release.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn reading_needs_no_capability() {
    let _alone = alone();
    let Some(mut probes) = load(Config::default()) else {
        return;
    };
    let disabled = fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled");
    println!("unprivileged_bpf_disabled: {disabled:?}");
    // Capabilities belong to the thread.
    std::thread::spawn(move || {
        privileges::drop_in_this_thread().unwrap();
        assert!(privileges::held().unwrap().is_empty());
        let refused = probes
            .read(Object::Tcp, &mut Batch::new())
            .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        if refused && kernel() < (5, 19) {
            println!("skipped: before Linux 5.19 reading a map needs CAP_BPF as well");
            return;
        }
        for object in Object::ALL {
            assert!(!samples(&mut probes, object).is_empty(), "{object:?}");
        }
        let mut batch = Batch::new();
        for object in Object::ALL {
            probes.read_cost(object, &mut batch);
        }
        assert!(batch.len() >= 8);
        // And loading says what it lacks.
        let (none, _) = Probes::load(Config::default(), Vec::new());
        for verdict in none.verdicts() {
            assert!(
                verdict.verdict.reason().unwrap().contains("CAP_BPF"),
                "{verdict:?}"
            );
        }
        // But it may still adopt what was loaded before.
        let (adopter, _) = Probes::load(Config::default(), exported(&probes));
        assert_eq!(adopter.adopted(), Object::ALL);
    })
    .join()
    .unwrap();
}
