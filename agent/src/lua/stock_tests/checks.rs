//! Checks whose answer is a sentence: the log, runit, the clock.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Machine;
use crate::runner::{Client, Door, Policy, Server};

/// A directory of services.
struct Services(tempfile::TempDir);

impl Services {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn options(&self) -> String {
        format!("directory = '{}'", self.0.path().display())
    }

    /// A service in a state that began at a time.
    fn set(&self, name: &str, state: &str, since: u64) {
        let directory = self.0.path().join(name).join("supervise");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("stat"), state).unwrap();
        let pid = fs::File::create(directory.join("pid")).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(since);
        pid.set_modified(at).unwrap();
    }
}

fn problem(machine: &Machine) -> String {
    machine.value("runit.problem")
}

#[test]
fn zalua_66_runit_names_services_that_do_not_run() {
    let machine = Machine::bare();
    let services = Services::new();
    services.set("nginx", "run\n", machine.now() - 3600);
    let run = machine.first("runit", &services.options());
    assert_eq!(machine.seen("runit.*"), "runit.problem ok [text]");
    services.set("cron", "down\n", machine.now());
    services.set("nginx", "run, want down\n", machine.now() - 3600);
    machine.next(&run);
    assert_eq!(
        problem(&machine),
        "Найдены проблемы с runit сервисами: 'cron' был слинкован в /etc/services/, но не запущен, \
         'nginx' был слинкован в /etc/services/, но не запущен"
    );
}

#[test]
fn zalua_66_runit_names_services_that_restart_again_and_again() {
    let machine = Machine::bare();
    let services = Services::new();
    services.set("app", "run\n", machine.now() - 10);
    let run = machine.first("runit", &services.options());
    assert_eq!(problem(&machine), "ok", "it was started once");
    services.set("app", "run\n", machine.now() + 30);
    machine.next(&run);
    assert_eq!(
        problem(&machine),
        "Найдены проблемы с runit сервисами: 'app' перезапускается"
    );
    machine.next(&run);
    assert_eq!(problem(&machine), "ok", "it has run for 90 seconds");
}

#[test]
fn zalua_66_runit_is_fine_where_it_is_not() {
    let machine = Machine::bare();
    machine.first("runit", "directory = '/absent'");
    assert_eq!(problem(&machine), "ok");
}

/// A log with lines, and the plugin on it.
fn log(lines: &str) -> (tempfile::TempDir, std::path::PathBuf, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("messages");
    fs::write(&path, lines).unwrap();
    let options = format!("path = '{}'", path.display());
    (directory, path, options)
}

fn append(path: &Path, lines: &str) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

/// The line of a log at a time in this machine's zone, as syslog writes it.
fn at(machine: &Machine, seconds: i64, text: &str) -> String {
    let script = format!(
        "metrics.set('at', os.date('%b %e %H:%M:%S', {}))",
        machine.now().checked_add_signed(seconds).unwrap()
    );
    machine.stage.pass(script);
    format!("{} host {text}\n", machine.value("at"))
}

fn messages(machine: &Machine) -> String {
    machine.value("system.messages.problem")
}

fn found(oom: u32, segfault: u32, runit: u32) -> String {
    format!(
        "Найдено проблем с OOM: {oom}, проблем с segfault: {segfault}, \
         проблем с падением сервисов runit: {runit} за последние 24 часов."
    )
}

const KILL: &str = "kernel: [12.5] Out of memory: Killed process 4127 (postgres) total-vm:1kB";
const OLD_KILL: &str =
    "kernel: Out of memory: Kill process 4127 (postgres) score 900 or sacrifice child";
const FAULT: &str =
    "kernel: nginx[812]: segfault at 0 ip 00007f sp 00007f error 4 in nginx[400000+1000]";
const SERVICE: &str = "runit: service 'app' exit code: '1'";

#[test]
fn zalua_66_messages_are_counted_over_a_day() {
    let machine = Machine::bare();
    let mut lines = at(&machine, -90_000, KILL);
    lines += &at(&machine, -80_000, OLD_KILL);
    lines += &at(&machine, -70_000, KILL);
    lines += &at(
        &machine,
        -60_000,
        "sshd[1]: Out of memory of a day: Kill nobody",
    );
    lines += &at(&machine, -600, FAULT);
    lines += &at(
        &machine,
        -500,
        &FAULT.replace("kernel: ", "kernel: [12.5] "),
    );
    lines += &at(&machine, -400, SERVICE);
    let (_directory, path, options) = log(&lines);
    let run = machine.first("messages", &options);
    assert_eq!(messages(&machine), found(2, 2, 1));
    assert_eq!(
        machine.seen("system.messages.*"),
        format!("system.messages.problem {} [text]", found(2, 2, 1))
    );
    // What is added counts, whole lines of it; what is older than a day does not any more.
    machine.advance(10_000);
    append(&path, &at(&machine, -5, SERVICE));
    append(&path, at(&machine, -4, FAULT).trim_end());
    machine.again(&run);
    assert_eq!(messages(&machine), found(1, 2, 2));
    append(&path, "\n");
    machine.again(&run);
    assert_eq!(messages(&machine), found(1, 3, 2));
    // A rotation: a new file, and what the old one had still counts, the last lines too.
    append(&path, &at(&machine, -2, SERVICE));
    fs::rename(&path, path.with_extension("1")).unwrap();
    fs::write(&path, at(&machine, -1, KILL)).unwrap();
    machine.again(&run);
    assert_eq!(messages(&machine), found(2, 3, 3));
    machine.advance(86_500);
    machine.again(&run);
    assert_eq!(messages(&machine), "ok");
}

#[test]
fn zalua_66_messages_hold_for_ten_minutes() {
    let machine = Machine::bare();
    let (_directory, _, options) = log("");
    machine.first("messages", &options);
    assert_eq!(messages(&machine), "ok");
    machine.advance(599);
    assert_eq!(messages(&machine), "ok");
    machine.advance(1);
    assert_eq!(messages(&machine), "-");
}

#[test]
fn zalua_66_messages_know_years_and_zones() {
    // New Year 2024, so that the log's lines are of another year than the clock's.
    let machine = Machine::bare();
    machine.advance(1_704_067_200 + 3600 - machine.now());
    let mut lines = at(&machine, -100_000, KILL);
    lines += &at(&machine, -40_000, KILL);
    lines += "no time at all\n";
    // Half past two at night in a zone two hours ahead is half an hour before the clock's one.
    for time in ["2024-01-01T02:30:00.123456+02:00", "2024-01-01T00:30:00Z"] {
        lines.extend([time, " host ", KILL, "\n"]);
    }
    let (_directory, _, options) = log(&lines);
    machine.first("messages", &options);
    assert_eq!(messages(&machine), found(3, 0, 0));
    let (_directory, _, options) = log(&format!("2023-12-30T23:30:00-01:00 host {KILL}\n"));
    machine.first("messages", &options);
    assert_eq!(messages(&machine), "ok");
}

#[test]
fn zalua_66_what_was_written_before_a_rotation_counts() {
    let machine = Machine::bare();
    let (directory, path, options) = log(&at(&machine, -10, KILL));
    let moved = directory.path().join("messages-20231114");
    let run = machine.first("messages", &options);
    assert_eq!(messages(&machine), found(1, 0, 0));
    let pass = |counted: u32| {
        machine.next(&run);
        assert_eq!(messages(&machine), found(counted, 0, 0));
    };
    // Since the run before, and then by whoever has not heard of the rotation yet.
    append(&path, &at(&machine, 0, KILL));
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, "").unwrap();
    pass(2);
    append(&moved, &at(&machine, 0, KILL));
    append(&path, &at(&machine, 0, KILL));
    pass(4);
    pass(4);
    // In the middle of a rotation there is no file.
    append(&path, &at(&machine, 0, KILL));
    fs::rename(&path, &moved).unwrap();
    pass(5);
    append(&moved, &at(&machine, 0, KILL));
    fs::write(&path, at(&machine, 1, KILL)).unwrap();
    pass(7);
    // What began empty, and what was copied and emptied.
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, "").unwrap();
    pass(7);
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, at(&machine, 2, KILL)).unwrap();
    pass(8);
    fs::write(&path, "").unwrap();
    pass(8);
    append(&path, &at(&machine, 3, KILL));
    append(&path, &at(&machine, 4, KILL));
    pass(10);
    fs::write(&path, at(&machine, 5, KILL)).unwrap();
    pass(11);
    // One that stays away is told.
    fs::remove_file(&path).unwrap();
    pass(11);
    run.hurry();
    let error = machine.stage.wait(&run).unwrap_err().to_string();
    assert!(error.contains("messages: No such file"), "{error}");
}

#[test]
fn zalua_66_a_log_that_somebody_chose_and_that_cannot_be_read_is_an_error() {
    let machine = Machine::bare();
    let directory = tempfile::tempdir().unwrap();
    for (path, reason) in [
        (directory.path().join("absent"), "No such file or directory"),
        (directory.path().to_owned(), "Is a directory"),
    ] {
        let options = format!("path = '{}'", path.display());
        let run = machine.start("messages", &options);
        let error = machine.stage.wait(&run).unwrap_err().to_string();
        let expected = format!(
            "{}: {reason}; change path in [plugin.messages.options]",
            path.display()
        );
        assert!(error.contains(&expected), "{error}");
        assert_eq!(messages(&machine), "-");
    }
}

#[test]
fn zalua_66_a_log_without_the_right_to_read_it_tells_how_to_get_that() {
    let machine = Machine::bare();
    let run = machine.start(
        "messages",
        "path = (function()
            function io.open(path) return nil, path .. ': Permission denied' end
            return '/var/log/closed'
          end)()",
    );
    let error = machine.stage.wait(&run).unwrap_err().to_string();
    let expected = "/var/log/closed: Permission denied; let the user moonward read it \
                    (SupplementaryGroups= in the unit, where a group may), or change path in";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn zalua_66_without_a_log_the_kernel_counts_what_it_killed_and_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().display().to_string();
    let log = directory.path().join("zalua.log");
    let machine = Machine::with(|options| options.log = Some(log.clone()));
    machine.write("proc/vmstat", "oom_kill 7\n");
    let path = directory.path().join("messages");
    let run = machine.first_changed(
        "messages",
        &[
            ("/var/log/messages", path.to_str().unwrap()),
            ("/var/log/syslog", &format!("{place}/absent/syslog")),
        ],
    );
    assert_eq!(messages(&machine), "ok");
    let lines = || -> Vec<String> {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(lines().len(), 1);
    let expected = format!(
        "[INFO] system.messages.problem tells only what the kernel killed for memory: \
         {place}/messages: No such file or directory; \
         {place}/absent/syslog: No such file or directory"
    );
    assert!(lines()[0].ends_with(&expected), "{:?}", lines());
    machine.write("proc/vmstat", "oom_kill 9\n");
    machine.next(&run);
    assert_eq!(messages(&machine), found(2, 0, 0));
    assert_eq!(lines().len(), 1, "once");
    // Something that cannot be read, which is a mistake of somebody's.
    fs::create_dir(&path).unwrap();
    machine.next(&run);
    machine.next(&run);
    assert_eq!(lines().len(), 2);
    assert!(
        lines()[1].contains("[ERROR]")
            && lines()[1].contains("messages: Is a directory; ")
            && lines()[1].ends_with("/syslog: No such file or directory; switch this plugin off ([plugin.messages] enabled = false)"),
        "{:?}",
        lines()
    );
    // What there is a log for, the kernel does not tell a second time.
    fs::remove_dir(&path).unwrap();
    fs::write(&path, at(&machine, 0, KILL)).unwrap();
    machine.write("proc/vmstat", "oom_kill 10\n");
    machine.next(&run);
    assert_eq!(messages(&machine), found(3, 0, 0));
    fs::remove_file(&path).unwrap();
    machine.next(&run);
    machine.next(&run);
    assert_eq!(messages(&machine), found(3, 0, 0));
    assert_eq!(lines().len(), 3, "{:?}", lines());
    machine.advance(86_500);
    machine.again(&run);
    assert_eq!(messages(&machine), "ok");
}

/// What `ntp.stat` says when this is executed in place of `ntpstat`.
fn clock(policy: Policy, command: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("runner.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let machine = Machine::with(|options| options.runner = Some(Client::socket(&socket)));
    let server = Arc::new(Server::new(policy, "/").for_own_user());
    machine.stage.runtime.handle().spawn(async move {
        server
            .serve(Door::Listening(listener), std::future::pending())
            .await
    });
    machine.first("ntp", &format!("command = '{command}'"));
    machine.seen("ntp.*")
}

#[test]
fn zalua_66_ntp_says_whether_the_clock_is_synchronised() {
    let ask = |command| clock(Policy::everything(), command);
    assert_eq!(ask("echo synchronised"), "ntp.stat ok [text]");
    assert_eq!(
        ask("echo unsynchronised; echo more; exit 1"),
        "ntp.stat состояние синхронизации: unsynchronised [text]"
    );
    let missing = "ntp.stat команда ntpstat не найдена [text]";
    assert_eq!(ask("/absent/ntpstat"), missing);
    assert_eq!(clock(Policy::nothing("there is no list"), "true"), missing);
    let machine = Machine::bare();
    machine.first("ntp", "");
    assert_eq!(machine.seen("ntp.*"), missing, "without a runner");
}

#[test]
fn zalua_66_plugins_without_a_subject_end_without_an_error() {
    let machine = Machine::bare();
    for plugin in ["net_netstat", "numa", "snmp", "temperature"] {
        let run = machine.start(plugin, "");
        machine.stage.wait(&run).unwrap();
        assert_eq!(run.status().runs, 1);
    }
    // A machine with one node is none of NUMA's.
    machine.write("sys/devices/system/node/node0/numastat", "numa_hit 1\n");
    machine.stage.wait(&machine.start("numa", "")).unwrap();
    // Nobody listens there, whether the programs are installed or not.
    for plugin in ["postgres", "pgbouncer"] {
        machine
            .stage
            .wait(&machine.start(plugin, "port = 1"))
            .unwrap();
    }
    assert_eq!(machine.seen("*"), "");
}
