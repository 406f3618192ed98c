//! Who listens where, and what of systemd is within reach.

use std::time::Duration;

use super::finding::Finding;
use crate::cli::{ask, socket};
use crate::collect::root::Root;
use crate::serve::control::codec::{Form, Request};

/// The port of Zabbix's agents.
const ZABBIX: u16 = 10050;

/// How long the service may take for one read or write.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most processes that are looked through for the owner of a socket.
const PROCESSES_MAX: usize = 100_000;

/// The process of the running service, if it answers; and what the control sockets say.
pub fn control() -> (Option<u32>, Finding) {
    let mut seen = Vec::new();
    for path in socket::candidates(None) {
        match ask::exchange_at(&path, &Request::Status(Form::Json), PATIENCE) {
            Ok(reply) => {
                let start = reply.iter().position(|byte| *byte == b'{').unwrap_or(0);
                let body = reply.get(start..).unwrap_or_default();
                let body = body.strip_suffix(&[0]).unwrap_or(body);
                let status: Option<serde_json::Value> = serde_json::from_slice(body).ok();
                let pid = status
                    .and_then(|status| status.get("pid")?.as_u64())
                    .and_then(|pid| u32::try_from(pid).ok());
                let text = format!("the service answers at {}", path.display());
                return (pid, Finding::ok("control socket", text));
            }
            Err(error) => seen.push(format!("{}: {error}", path.display())),
        }
    }
    let advice = "systemctl start moonward, or moonward run; to use the service's socket a user \
                  must be in its group";
    (
        None,
        Finding::note("control socket", seen.join("; "), advice),
    )
}

/// Looks at the port of Zabbix's agents.
pub fn zabbix(root: &Root) -> Finding {
    let subject = "Zabbix port";
    let inodes = listeners(root, ZABBIX);
    if inodes.is_empty() {
        return Finding::note(
            subject,
            format!("nobody listens on {ZABBIX}"),
            "if Zabbix is to ask Moonward: systemctl enable moonward-zabbix.socket, then \
             systemctl restart moonward",
        );
    }
    match owner(root, &inodes) {
        // systemd holds the socket while it activates others.
        Some((pid, name)) if name.starts_with("moonward") || pid == 1 => Finding::ok(
            subject,
            format!("{ZABBIX} is held by {name}, process {pid}"),
        ),
        Some((pid, name)) => Finding::note(
            subject,
            format!("{ZABBIX} is held by {name}, process {pid}"),
            "stop it before moonward-zabbix.socket is enabled, or keep it and give it the \
             UserParameters that the package ships",
        ),
        None => Finding::note(
            subject,
            format!("{ZABBIX} is held by a process that cannot be seen from here"),
            "ask again as root",
        ),
    }
}

/// The inodes of the TCP sockets that listen on the port (`/proc/net/tcp`, proc(5)).
fn listeners(root: &Root, port: u16) -> Vec<u64> {
    let mut inodes = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(table) = root.read(path) else { continue };
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let local = fields.get(1).and_then(|local| local.rsplit_once(':'));
            let is_port = local.is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port));
            // State 0A is TCP_LISTEN (include/net/tcp_states.h).
            if is_port
                && fields.get(3) == Some(&"0A")
                && let Some(Ok(inode)) = fields.get(9).map(|inode| inode.parse())
            {
                inodes.push(inode);
            }
        }
    }
    inodes
}

/// A process that has one of the sockets open, with its name; its own process rather than
/// systemd, when both have.
fn owner(root: &Root, inodes: &[u64]) -> Option<(u32, String)> {
    let wanted: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = std::fs::read_dir(root.path("/proc")).ok()?;
    let mut found = None;
    for entry in processes.flatten().take(PROCESSES_MAX) {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(descriptors) = std::fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let holds = descriptors.flatten().any(|descriptor| {
            std::fs::read_link(descriptor.path())
                .is_ok_and(|target| wanted.iter().any(|one| target.as_os_str() == one.as_str()))
        });
        if holds {
            let name = root.read(&format!("/proc/{pid}/comm")).unwrap_or_default();
            found = Some((pid, name.trim().to_owned()));
            if pid != 1 {
                break;
            }
        }
    }
    found
}

/// Looks at what systemd offers.
pub fn systemd(root: &Root, service: Option<u32>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(pid) = service {
        findings.push(notify(root, pid));
    }
    for (subject, path, lost) in [
        (
            "journal",
            "/run/systemd/journal/socket",
            "the service logs to its standard error instead",
        ),
        (
            "D-Bus",
            "/run/dbus/system_bus_socket",
            "nothing can be asked of systemd: no series per unit, no repair",
        ),
    ] {
        findings.push(if root.path(path).exists() {
            Finding::ok(subject, path)
        } else {
            Finding::note(
                subject,
                format!("there is no {path}: {lost}"),
                "run under systemd",
            )
        });
    }
    findings
}

/// Whether systemd hears from the service, as the service's environment says.
fn notify(root: &Root, pid: u32) -> Finding {
    let subject = "notification";
    let Ok(environment) = root.read(&format!("/proc/{pid}/environ")) else {
        return Finding::note(
            subject,
            "the service's environment cannot be read from here",
            "ask again as root or as the service's user",
        );
    };
    let value = |name: &str| {
        let mut variables = environment.split('\0');
        variables.find_map(|one| one.strip_prefix(name)?.strip_prefix('='))
    };
    match (value("NOTIFY_SOCKET"), value("WATCHDOG_USEC")) {
        (Some(_), Some(period)) => {
            let seconds = period.parse::<f64>().unwrap_or(0.0) / 1e6;
            Finding::ok(subject, format!("systemd watches, every {seconds} s"))
        }
        (Some(_), None) => Finding::note(
            subject,
            "systemd is told, but does not watch",
            "set WatchdogSec= in the unit",
        ),
        (None, _) => Finding::note(
            subject,
            "the service was not started by systemd",
            "systemctl start moonward, so that it is restarted when it fails",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::finding::Level;
    use super::*;

    fn put(place: &Path, path: &str, text: &str) {
        let path = place.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    const TABLE: &str = "  sl  local_address rem_address   st tx rx tr tm->when retrnsmt uid\n   0: 0100007F:2742 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4242 1\n\
           1: 0100007F:2742 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0 0 4343 1\n";

    #[test]
    fn the_holder_of_the_port_is_named() {
        let place = tempfile::tempdir().unwrap();
        let root = Root::recorded(place.path());
        assert!(zabbix(&root).text.contains("nobody listens"));
        put(place.path(), "proc/net/tcp", TABLE);
        assert_eq!(listeners(&root, ZABBIX), [4242]);
        assert!(zabbix(&root).text.contains("cannot be seen"));
        put(place.path(), "proc/77/comm", "zabbix_agentd\n");
        std::fs::create_dir(place.path().join("proc/77/fd")).unwrap();
        std::os::unix::fs::symlink("socket:[4242]", place.path().join("proc/77/fd/4")).unwrap();
        let other = zabbix(&root);
        assert_eq!(other.level, Level::Note);
        assert_eq!(other.text, "10050 is held by zabbix_agentd, process 77");
        put(place.path(), "proc/77/comm", "moonward-agent\n");
        assert_eq!(zabbix(&root).level, Level::Ok);
    }

    #[test]
    fn the_services_environment_tells_about_systemd() {
        let place = tempfile::tempdir().unwrap();
        let root = Root::recorded(place.path());
        assert!(notify(&root, 7).text.contains("cannot be read"));
        for (environment, level) in [
            ("A=b\0", Level::Note),
            ("NOTIFY_SOCKET=/run/x\0", Level::Note),
            ("NOTIFY_SOCKET=/run/x\0WATCHDOG_USEC=30000000\0", Level::Ok),
        ] {
            put(place.path(), "proc/7/environ", environment);
            assert_eq!(notify(&root, 7).level, level, "{environment:?}");
        }
    }
}
