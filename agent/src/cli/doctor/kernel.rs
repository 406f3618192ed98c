//! What the kernel has.

use super::finding::Finding;
use crate::collect::root::Root;

/// The oldest kernel with `CAP_BPF` and `CAP_PERFMON`, which is what the probes need to load
/// without full root.
const OLDEST: (u32, u32) = (5, 8);

/// Looks at the kernel.
pub fn look(root: &Root, release: &str) -> Vec<Finding> {
    vec![
        version(release),
        btf(root),
        jit(root),
        unprivileged(root),
        lockdown(root),
        cgroups(root),
        pressure(root),
        nodes(root),
    ]
}

fn word(root: &Root, path: &str) -> Option<String> {
    root.read(path).ok().map(|text| text.trim().to_owned())
}

fn version(release: &str) -> Finding {
    let mut numbers = release
        .split(['.', '-', '+'])
        .map_while(|part| part.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST {
        Finding::ok("kernel", release)
    } else {
        Finding::problem(
            "kernel",
            format!("{release}: the probes need {}.{}", OLDEST.0, OLDEST.1),
            "run a newer kernel; the collectors work as they are",
        )
    }
}

fn btf(root: &Root) -> Finding {
    let path = "/sys/kernel/btf/vmlinux";
    match std::fs::metadata(root.path(path)) {
        Ok(metadata) => Finding::ok("BTF", format!("{path}, {} bytes", metadata.len())),
        Err(error) => Finding::problem(
            "BTF",
            format!("{path}: {error}; no probe can load"),
            "run a kernel with CONFIG_DEBUG_INFO_BTF=y, as all current distributions have, \
             and mount /sys",
        ),
    }
}

fn jit(root: &Root) -> Finding {
    match word(root, "/proc/sys/net/core/bpf_jit_enable").as_deref() {
        Some("0") => Finding::note(
            "BPF compiler",
            "off: probes cost several times as much",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        Some(_) => Finding::ok("BPF compiler", "on"),
        None => Finding::note(
            "BPF compiler",
            "not known",
            "the file is for root alone on some kernels; ask again as root",
        ),
    }
}

fn unprivileged(root: &Root) -> Finding {
    match word(root, "/proc/sys/kernel/unprivileged_bpf_disabled").as_deref() {
        None => Finding::problem(
            "bpf(2)",
            "the kernel does not have it",
            "run a kernel with CONFIG_BPF_SYSCALL=y",
        ),
        Some("0") => Finding::note(
            "bpf(2)",
            "open to every user, which Moonward does not need",
            "sysctl kernel.unprivileged_bpf_disabled=2",
        ),
        Some(_) => Finding::ok("bpf(2)", "for privileged processes alone"),
    }
}

fn lockdown(root: &Root) -> Finding {
    let Some(modes) = word(root, "/sys/kernel/security/lockdown") else {
        return Finding::ok("lockdown", "none");
    };
    let mode = modes
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or(modes.as_str(), |(mode, _)| mode);
    if mode == "confidentiality" {
        Finding::problem(
            "lockdown",
            "confidentiality: BPF programs may not read kernel memory",
            "boot with lockdown=integrity; the collectors work as they are",
        )
    } else {
        Finding::ok("lockdown", mode)
    }
}

fn cgroups(root: &Root) -> Finding {
    if root.path("/sys/fs/cgroup/cgroup.controllers").exists() {
        return Finding::ok("cgroups", "version 2");
    }
    let text = if root
        .path("/sys/fs/cgroup/unified/cgroup.controllers")
        .exists()
    {
        "version 1 with a version 2 tree without controllers"
    } else {
        "no version 2"
    };
    Finding::note(
        "cgroups",
        format!("{text}: values per unit are missing or less exact"),
        "boot with systemd.unified_cgroup_hierarchy=1",
    )
}

fn pressure(root: &Root) -> Finding {
    if root.path("/proc/pressure/cpu").exists() {
        Finding::ok("pressure stall", "/proc/pressure")
    } else {
        Finding::note(
            "pressure stall",
            "off: no series system.pressure.*",
            "boot with psi=1, on a kernel with CONFIG_PSI=y",
        )
    }
}

fn nodes(root: &Root) -> Finding {
    let entries = std::fs::read_dir(root.path("/sys/devices/system/node"));
    let count = entries.into_iter().flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix("node"));
        digits.is_some_and(|digits| digits.parse::<u32>().is_ok())
    });
    match count.count() {
        0 => Finding::note(
            "NUMA",
            "the kernel shows no nodes: no series per node",
            "run a kernel with CONFIG_NUMA=y if the machine has several",
        ),
        count => Finding::ok("NUMA", format!("{count} node(s)")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn level(findings: &[Finding], subject: &str) -> Level {
        let finding = findings.iter().find(|finding| finding.subject == subject);
        finding.unwrap().level
    }

    #[test]
    fn an_empty_machine_has_problems_and_every_one_has_advice() {
        let directory = tempfile::tempdir().unwrap();
        let findings = look(&Root::recorded(directory.path()), "4.19.0-1-amd64");
        for subject in ["kernel", "BTF", "bpf(2)"] {
            assert_eq!(level(&findings, subject), Level::Problem, "{subject}");
        }
        for finding in &findings {
            assert_eq!(
                finding.advice.is_none(),
                finding.level == Level::Ok,
                "{finding:?}"
            );
        }
    }

    #[test]
    fn a_good_machine_has_none() {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("sys/kernel/btf/vmlinux", "x"),
            ("proc/sys/net/core/bpf_jit_enable", "1\n"),
            ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
            (
                "sys/kernel/security/lockdown",
                "none [integrity] confidentiality\n",
            ),
            ("sys/fs/cgroup/cgroup.controllers", "cpu io\n"),
            ("proc/pressure/cpu", "some\n"),
            ("sys/devices/system/node/node0/numastat", ""),
            ("sys/devices/system/node/node1/numastat", ""),
        ] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let findings = look(&Root::recorded(directory.path()), "6.1.0-13-amd64");
        let bad: Vec<_> = findings
            .iter()
            .filter(|one| one.level != Level::Ok)
            .collect();
        assert!(bad.is_empty(), "{bad:?}");
        assert!(findings.contains(&Finding::ok("NUMA", "2 node(s)")));
        assert!(findings.contains(&Finding::ok("lockdown", "integrity")));
    }

    #[test]
    fn releases_are_compared_by_number() {
        for (release, level) in [
            ("6.18.44-x", Level::Ok),
            ("5.10.0", Level::Ok),
            ("5.8", Level::Ok),
            ("5.7.19", Level::Problem),
            ("odd", Level::Problem),
        ] {
            assert_eq!(version(release).level, level, "{release}");
        }
    }
}
