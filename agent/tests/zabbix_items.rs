//! The item keys on this machine, beside Debian's own `zabbix_agentd` where that is installed.
//!
//! Each key is asked of both at nearly the same time; values that move are compared within a
//! tolerance, errors word by word. Without `zabbix_agentd` the keys must still have values.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use moonward::collect::filesystem::Ignored;
use moonward::collect::{Collector, Root, Round, registry};
use moonward::model::{Batch, Clock};
use moonward::serve::zabbix::access::AllowList;
use moonward::serve::zabbix::answer::Answer;
use moonward::serve::zabbix::door::Door;
use moonward::serve::zabbix::header::{self, HEADER_LEN};
use moonward::serve::zabbix::item_key::ItemKey;
use moonward::serve::zabbix::items::{Identity, Items};
use moonward::store::{Store, StoreLimits};

const AGENTD: &str = "/usr/sbin/zabbix_agentd";

/// Moonward's door over what the collectors say of this machine.
struct Machine {
    store: Store,
    items: Arc<Items>,
    door: Door,
    collectors: Vec<Box<dyn Collector>>,
}

impl Machine {
    fn open() -> Self {
        let store = Store::new(Clock::System, StoreLimits::default());
        let identity = Identity {
            hostname: "bench".into(),
            metadata: "linux".into(),
        };
        let items = Arc::new(Items::new(store.clone(), identity, Root::machine()));
        let answer: Arc<dyn Answer> = Arc::<Items>::clone(&items);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let allowed = AllowList::parse("127.0.0.1").unwrap();
        let door = Door::open(listener, allowed, answer, Clock::System).unwrap();
        let mut machine = Self {
            store,
            items,
            door,
            collectors: registry::all(Ignored::default(), true),
        };
        machine.collect();
        machine
    }

    fn collect(&mut self) {
        let root = Root::machine();
        for collector in &mut self.collectors {
            let mut batch = Batch::new();
            collector.collect(&mut Round::new(&root, &mut batch, self.store.clock().now()));
            self.store.put(collector.name(), &batch, None);
        }
        self.items.refresh();
    }
}

/// Debian's agent on a port of its own, ended with the test.
struct Agentd {
    child: Child,
    address: SocketAddr,
    _log: BufReader<ChildStdout>,
    _directory: tempfile::TempDir,
}

impl Agentd {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        if !Path::new(AGENTD).exists() {
            return None;
        }
        // Below the ports that the kernel hands out by itself, and any other if that one is taken.
        let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
        (first..first + 100).find_map(Self::start_on)
    }

    fn start_on(port: u16) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let configuration = format!(
            "LogType=console\nPidFile={}\nServer=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\n\
             Hostname=bench\nHostMetadata=linux\nStartAgents=2\nAllowRoot=1\n",
            directory.path().join("pid").display(),
        );
        let file = directory.path().join("agentd.conf");
        std::fs::write(&file, configuration).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the peer is another program")]
        let mut child = Command::new(AGENTD)
            .args(["-f", "-c"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            // The last process to come reports that it is there; the port was bound before.
            if line.contains("[listener #2]") {
                let address = SocketAddr::from(([127, 0, 0, 1], port));
                return Some(Self {
                    child,
                    address,
                    _log: log,
                    _directory: directory,
                });
            }
            line.clear();
        }
        child.wait().unwrap();
        None
    }
}

impl Drop for Agentd {
    fn drop(&mut self) {
        // Asked to end, so that it ends its children too.
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid
            && rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok()
        {
            drop(self.child.wait());
        }
    }
}

fn ask(address: SocketAddr, key: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let mut request = Vec::new();
    header::encode(key.as_bytes(), &mut request);
    stream.write_all(&request).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    String::from_utf8(reply.get(HEADER_LEN..).unwrap_or_default().to_vec()).unwrap()
}

/// How close two values have to be.
#[derive(Clone, Copy, Debug)]
enum Close {
    /// The same text.
    Same,
    /// Numbers that differ by at most this part of the larger one, or by at most this much.
    Within(f64, f64),
}

use Close::{Same, Within};

/// What every host has.
const VALUES: &[(&str, Close)] = &[
    ("agent.ping", Same),
    ("agent.hostname", Same),
    ("agent.hostmetadata", Same),
    ("agent.variant", Same),
    ("system.cpu.load", Within(0.1, 0.3)),
    ("system.cpu.load[all,avg15]", Within(0.1, 0.1)),
    ("system.cpu.load[percpu,avg5]", Within(0.1, 0.1)),
    ("system.cpu.num", Same),
    ("system.cpu.num[max]", Same),
    ("system.cpu.intr", Within(0.05, 2000.0)),
    ("system.cpu.switches", Within(0.05, 5000.0)),
    ("system.cpu.discovery", Same),
    ("vm.memory.size", Same),
    ("vm.memory.size[free]", Within(0.1, 2e8)),
    ("vm.memory.size[used]", Within(0.1, 2e8)),
    ("vm.memory.size[pused]", Within(0.1, 2.0)),
    ("vm.memory.size[available]", Within(0.1, 2e8)),
    ("vm.memory.size[pavailable]", Within(0.1, 2.0)),
    ("vm.memory.size[buffers]", Within(0.1, 1e8)),
    ("vm.memory.size[cached]", Within(0.1, 2e8)),
    ("vm.memory.size[active]", Within(0.2, 2e8)),
    ("vm.memory.size[inactive]", Within(0.2, 2e8)),
    ("vm.memory.size[anon]", Within(0.3, 3e8)),
    ("vm.memory.size[slab]", Within(0.1, 5e7)),
    ("system.swap.size", Within(0.1, 1e7)),
    ("system.swap.size[,total]", Same),
    ("system.swap.size[,used]", Within(0.1, 1e7)),
    ("system.swap.size[,pfree]", Within(0.0, 1.0)),
    ("system.swap.size[,pused]", Within(0.0, 1.0)),
    ("system.swap.in[all,pages]", Within(0.1, 1000.0)),
    ("system.swap.out[,count]", Within(0.1, 1000.0)),
    ("vfs.fs.size[/]", Same),
    ("vfs.fs.size[/,free]", Within(0.01, 1e8)),
    ("vfs.fs.size[/,used]", Within(0.01, 1e8)),
    ("vfs.fs.size[/,pfree]", Within(0.0, 0.5)),
    ("vfs.fs.size[/,pused]", Within(0.0, 0.5)),
    ("vfs.fs.size[/usr/bin,total]", Same),
    ("vfs.fs.size[/proc,pfree]", Same),
    ("vfs.fs.inode[/]", Same),
    ("vfs.fs.inode[/,free]", Within(0.01, 1e4)),
    ("vfs.fs.inode[/,used]", Within(0.05, 1e4)),
    ("vfs.fs.inode[/,pfree]", Within(0.0, 0.5)),
    ("vfs.fs.inode[/proc,pfree]", Same),
    ("net.if.in[lo]", Within(0.05, 1e5)),
    ("net.if.in[lo,packets]", Within(0.05, 1e3)),
    ("net.if.in[lo,errors]", Same),
    ("net.if.in[lo,dropped]", Same),
    ("net.if.in[lo,overruns]", Same),
    ("net.if.in[lo,frame]", Same),
    ("net.if.in[lo,compressed]", Same),
    ("net.if.in[lo,multicast]", Same),
    ("net.if.out[lo]", Within(0.05, 1e5)),
    ("net.if.out[lo,carrier]", Same),
    ("net.if.out[lo,collisions]", Same),
    ("net.if.total[lo]", Within(0.05, 2e5)),
    ("net.if.total[lo,packets]", Within(0.05, 2e3)),
    ("net.if.collisions[lo]", Same),
    ("proc.num", Within(0.3, 40.0)),
    ("proc.num[,,run]", Within(1.0, 10.0)),
    ("proc.num[zabbix_agentd]", Same),
    ("proc.num[,,,zabbix_agentd.*listener]", Same),
    ("proc.num[,nobody-of-this-name]", Same),
    ("proc.num[,,zomb]", Within(1.0, 10.0)),
    ("system.uptime", Within(0.0, 2.0)),
    ("system.boottime", Within(0.0, 1.0)),
    ("system.localtime", Within(0.0, 2.0)),
    ("system.hostname", Same),
    ("system.hostname[shorthost,lower]", Same),
    ("system.uname", Same),
    ("system.sw.arch", Same),
    ("system.users.num", Same),
    ("kernel.maxfiles", Same),
    ("kernel.maxproc", Same),
    ("kernel.openfiles", Within(0.5, 500.0)),
    ("net.tcp.listen[1]", Same),
];

/// What both must refuse with the same words.
const ERRORS: &[&str] = &[
    "nosuch",
    "nosuch[1]",
    "bad key",
    "foo[",
    "foo[a]b",
    "[a]",
    "agent.ping[]",
    "agent.ping,",
    "system.cpu.load[x]",
    "system.cpu.load[all,avg2]",
    "system.cpu.load[,,]",
    "system.cpu.num[foo]",
    "system.cpu.util[x]",
    "system.cpu.util[,x]",
    "system.cpu.util[,user,x]",
    "system.cpu.util[,user,,x]",
    "system.cpu.util[9999,user]",
    "system.cpu.switches[1]",
    "vm.memory.size[x]",
    "vm.memory.size[a,b]",
    "vm.memory.size[shared]",
    "vm.memory.size[wired]",
    "system.swap.size[foo,total]",
    "system.swap.size[,x]",
    "system.swap.size[,x,y]",
    "system.swap.in[nodev]",
    "system.swap.in[,x]",
    "vfs.fs.size",
    "vfs.fs.size[]",
    "vfs.fs.size[/,x]",
    "vfs.fs.size[/nonexistent]",
    "vfs.fs.size[/,a,b]",
    "vfs.fs.inode",
    "vfs.fs.inode[/,x]",
    "vfs.fs.discovery[a]",
    "vfs.dev.read[,bytes]",
    "vfs.dev.read[nodev]",
    "vfs.dev.read[nodev,sectors]",
    "vfs.dev.read[,sps,avg9]",
    "vfs.dev.read[,sps,avg1,x]",
    "net.if.in",
    "net.if.in[]",
    "net.if.in[lo,x]",
    "net.if.in[nope]",
    "net.if.in[lo,bytes,x]",
    "net.if.out[lo,multicast]",
    "net.if.total[lo,frame]",
    "net.if.collisions",
    "net.if.collisions[nope]",
    "net.tcp.listen",
    "net.tcp.listen[99999]",
    "net.tcp.listen[x]",
    "proc.num[,,x]",
    "proc.num[,,,,x]",
    "system.localtime[x]",
    "system.hostname[x]",
    "system.uname[x]",
    "kernel.maxfiles[x]",
    "system.cpu.discovery[x]",
];

/// The keys that have a value here: a machine that keeps no logins (a bare container) does not know
/// how many there are, and says so.
fn values() -> impl Iterator<Item = &'static (&'static str, Close)> {
    let logins = ["/run/utmp", "/var/run/utmp", "/run/systemd/sessions"]
        .iter()
        .any(|path| std::path::Path::new(path).exists());
    VALUES
        .iter()
        .filter(move |(key, _)| logins || *key != "system.users.num")
}

fn is_error(value: &str) -> bool {
    value.starts_with("ZBX_NOTSUPPORTED")
}

fn agree(ours: &str, theirs: &str, close: Close) -> bool {
    match (close, ours.parse::<f64>(), theirs.parse::<f64>()) {
        (Same, ..) => ours == theirs,
        (Within(part, much), Ok(ours), Ok(theirs)) => {
            (ours - theirs).abs() <= f64::max(much, part * f64::max(ours.abs(), theirs.abs()))
        }
        (Within(..), ..) => false,
    }
}

#[test]
fn values_and_errors_are_those_of_zabbix_agentd() {
    let mut machine = Machine::open();
    let address = machine.door.address();
    let Some(agentd) = Agentd::start() else {
        for (key, _) in values() {
            assert!(
                !is_error(&ask(address, key)),
                "{key}: {}",
                ask(address, key)
            );
        }
        for key in ERRORS {
            assert!(is_error(&ask(address, key)), "{key}");
        }
        return;
    };
    let mut wrong = Vec::new();
    for (key, close) in values() {
        machine.collect();
        let (ours, theirs) = (ask(address, key), ask(agentd.address, key));
        if !agree(&ours, &theirs, *close) {
            wrong.push(format!(
                "{key}: {ours:?}, zabbix_agentd says {theirs:?} ({close:?})"
            ));
        }
    }
    for key in ERRORS {
        let (ours, theirs) = (ask(address, key), ask(agentd.address, key));
        if ours != theirs || !is_error(&ours) {
            wrong.push(format!("{key}: {ours:?}, zabbix_agentd says {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_disk_and_interface_that_is_discovered_has_values() {
    let machine = Machine::open();
    let address = machine.door.address();
    let rows = |key: &str, column: &str| -> Vec<String> {
        let document: Vec<serde_json::Value> = serde_json::from_str(&ask(address, key)).unwrap();
        document
            .iter()
            .map(|row| row[column].as_str().unwrap().to_owned())
            .collect()
    };
    for device in rows("vfs.dev.discovery", "{#DEVNAME}") {
        for kind in ["sectors", "operations", "sps", "ops"] {
            let value = ask(address, &format!("vfs.dev.read[{device},{kind}]"));
            assert!(value.parse::<f64>().is_ok(), "{device} {kind}: {value}");
        }
    }
    for interface in rows("net.if.discovery", "{#IFNAME}") {
        let value = ask(address, &format!("net.if.in[{interface},dropped]"));
        assert!(value.parse::<u64>().is_ok(), "{interface}: {value}");
    }
    for mount in rows("vfs.fs.discovery", "{#FSNAME}") {
        let value = ask(address, &format!("vfs.fs.size[\"{mount}\",pused]"));
        assert!(value.parse::<f64>().is_ok(), "{mount}: {value}");
    }
    let document: Vec<serde_json::Value> =
        serde_json::from_str(&ask(address, "vfs.fs.get")).unwrap();
    assert_eq!(document.len(), rows("vfs.fs.discovery", "{#FSNAME}").len());
}

#[test]
fn what_the_collectors_know_is_answered_without_a_worker() {
    // Of a path that is no mount point, of one process, or of one port, the store knows nothing.
    const SLOW: &[&str] = &[
        "vfs.fs.size[/usr",
        "[/proc,",
        "proc.num[",
        "net.tcp.listen[",
        "[max]",
        "system.swap.out[,count]",
    ];
    let machine = Machine::open();
    for (text, _) in values() {
        if SLOW.iter().any(|slow| text.contains(slow)) {
            continue;
        }
        let key = ItemKey::parse(text).unwrap();
        let answer = machine.items.answer(&key, &mut String::new());
        assert_eq!(answer, Ok(()), "{text}");
    }
}
