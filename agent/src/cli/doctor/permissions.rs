//! What this process and the running service may do.

use rustix::fs::Access;
use rustix::thread::CapabilitySet;

use super::finding::Finding;
use crate::app::privileges;
use crate::collect::root::Root;
use crate::config::Environment;

/// What the probes need to load; the service drops both afterwards.
const PROBES: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);

/// Looks at what is permitted. `service` is the running service's process, where there is one.
pub fn look(root: &Root, environment: &Environment, service: Option<u32>) -> Vec<Finding> {
    let mut findings = vec![own(environment.uid)];
    if let Some(pid) = service {
        findings.push(of_service(root, pid));
    }
    findings.push(process_io(root, service.is_some()));
    let state = environment.state_directory();
    let runtime = environment.runtime_directory();
    findings.push(directory("state directory", &state, service.is_some()));
    findings.push(directory("runtime directory", &runtime, service.is_some()));
    findings
}

fn own(uid: u32) -> Finding {
    // What cannot be read is taken for nothing: then the advice is to ask as root.
    let held = privileges::held().unwrap_or(CapabilitySet::empty());
    let missing = PROBES.difference(held);
    // CAP_SYS_ADMIN implies both (capabilities(7)).
    if missing.is_empty() || held.contains(CapabilitySet::SYS_ADMIN) {
        return Finding::ok("privileges", format!("user {uid} may load the probes"));
    }
    Finding::note(
        "privileges",
        format!(
            "user {uid} lacks {}: `moonward run` from here has no probes",
            privileges::names(missing)
        ),
        "start it with systemctl start moonward, or as root",
    )
}

/// The effective capabilities of another process, from `/proc/PID/status`.
fn effective(root: &Root, pid: u32) -> Option<u64> {
    let status = root.read(&format!("/proc/{pid}/status")).ok()?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn of_service(root: &Root, pid: u32) -> Finding {
    let Some(mask) = effective(root, pid) else {
        return Finding::note(
            "service",
            format!("process {pid}, whose status cannot be read"),
            "ask again as root; /proc may be mounted with hidepid",
        );
    };
    let held = privileges::names(CapabilitySet::from_bits_retain(mask));
    Finding::ok("service", format!("process {pid} holds {held}"))
}

fn process_io(root: &Root, service: bool) -> Finding {
    // Of a process that belongs to root, which is what most of a machine's processes do.
    if root.read("/proc/1/io").is_ok() {
        return Finding::ok("process IO", "readable for every process");
    }
    let text = "/proc/PID/io of other users cannot be read from here";
    if service {
        Finding::note(
            "process IO",
            text,
            "see `moonward status` for what the service reads",
        )
    } else {
        Finding::note(
            "process IO",
            text,
            "CAP_SYS_PTRACE allows it; without it only this user's processes are counted",
        )
    }
}

fn directory(subject: &'static str, path: &std::path::Path, service: bool) -> Finding {
    let shown = path.display();
    match rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(subject, format!("{shown} is writable")),
        Err(rustix::io::Errno::NOENT) => Finding::note(
            subject,
            format!("{shown} does not exist"),
            "the service makes it when it starts, if it may",
        ),
        Err(error) if service => Finding::note(
            subject,
            format!("{shown}: {error} for this user"),
            "ask again as root or as the service's user",
        ),
        Err(error) => Finding::problem(
            subject,
            format!("{shown}: {error}"),
            "give it to the service's user (mode 0700), or mount it writable; \
             until then nothing survives a restart",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_services_capabilities_are_named() {
        let place = tempfile::tempdir().unwrap();
        let root = Root::recorded(place.path());
        std::fs::create_dir_all(place.path().join("proc/7")).unwrap();
        let status = place.path().join("proc/7/status");
        for (mask, held) in [
            ("0000000000000000", "no capabilities"),
            ("0000000000080004", "CAP_DAC_READ_SEARCH CAP_SYS_PTRACE"),
            ("000001ffffffffff", "41 capabilities"),
        ] {
            std::fs::write(&status, format!("Name:\tx\nCapEff:\t{mask}\n")).unwrap();
            let expected = format!("process 7 holds {held}");
            assert_eq!(of_service(&root, 7), Finding::ok("service", expected));
        }
        assert_eq!(of_service(&root, 8).level, Level::Note);
    }

    #[test]
    fn a_directory_is_writable_missing_or_not() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(directory("x", place.path(), false).level, Level::Ok);
        assert_eq!(
            directory("x", &place.path().join("no"), false).level,
            Level::Note
        );
    }
}
