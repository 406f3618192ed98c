//! Which key is answered by whom.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::catalogue::Catalogue;
use super::history::History;
use super::{
    agent, cpu, discovery, disk, file_system, host, kernel, memory, network, process, series,
    sockets,
};
use crate::collect::root::Root;
use crate::model::Value;
use crate::serve::zabbix::answer::{Answer, NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;
use crate::store::Store;

/// What the agent calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `agent.hostname`; empty means the kernel's host name.
    pub hostname: String,
    /// `agent.hostmetadata`.
    pub metadata: String,
}

/// Answers item keys from the store.
#[derive(Debug)]
pub struct Items {
    pub(super) store: Store,
    pub(super) identity: Identity,
    pub(super) root: Root,
    catalogue: RwLock<Arc<Catalogue>>,
    history: RwLock<History>,
}

/// What an attempt to answer comes to.
pub(super) type Outcome = Result<(), Refusal>;

type Fast = fn(&Items, &ItemKey<'_>, &mut String) -> Outcome;
type Slow = fn(&Items, &ItemKey<'_>, &mut String) -> Result<(), NotSupported>;

/// How a key is answered: the most parameters it takes, at once, and on a worker.
struct Item {
    parameters: usize,
    fast: Fast,
    slow: Slow,
}

const fn item(parameters: usize, fast: Fast) -> Item {
    Item {
        parameters,
        fast,
        slow: |_, _, _| Err(NotSupported::UNKNOWN_KEY),
    }
}

/// Answered at once where the store has it, on a worker otherwise.
const fn either(parameters: usize, fast: Fast, slow: Slow) -> Item {
    Item {
        parameters,
        fast,
        slow,
    }
}

/// Always answered on a worker.
const fn slow(parameters: usize, slow: Slow) -> Item {
    Item {
        parameters,
        fast: |_, _, _| Err(Refusal::Slow),
        slow,
    }
}

fn find(name: &str) -> Option<Item> {
    Some(match name {
        "agent.ping" => item(0, agent::ping),
        "agent.version" => item(0, agent::version),
        "agent.hostname" => item(0, agent::hostname),
        "agent.hostmetadata" => item(0, agent::metadata),
        "agent.variant" => item(0, agent::variant),
        "system.cpu.load" => item(2, cpu::load),
        "system.cpu.num" => either(1, cpu::number, cpu::number_configured),
        "system.cpu.util" => item(3, cpu::utilization),
        "system.cpu.intr" => item(0, cpu::interrupts),
        "system.cpu.switches" => item(0, cpu::switches),
        "system.cpu.discovery" => item(0, cpu::discovery),
        "vm.memory.size" => either(1, memory::size, memory::size_from_file),
        "system.swap.size" => item(2, memory::swap_size),
        "system.swap.in" => either(2, memory::swap_in, memory::swap_from_file),
        "system.swap.out" => either(2, memory::swap_out, memory::swap_from_file),
        "vfs.fs.size" => either(2, file_system::size, file_system::size_of_path),
        "vfs.fs.inode" => either(2, file_system::inode, file_system::inode_of_path),
        "vfs.fs.get" => item(0, file_system::get),
        "vfs.fs.discovery" => item(0, file_system::discovery),
        "vfs.dev.read" => either(3, disk::read, disk::with_link),
        "vfs.dev.write" => either(3, disk::write, disk::with_link),
        "vfs.dev.discovery" => item(0, disk::discovery),
        "net.if.in" => either(2, network::received, network::from_file),
        "net.if.out" => either(2, network::transmitted, network::from_file),
        "net.if.total" => either(2, network::total, network::from_file),
        "net.if.collisions" => either(1, network::collisions, network::from_file),
        "net.if.discovery" => item(0, network::discovery),
        "net.tcp.listen" => slow(1, sockets::tcp_listen),
        "net.udp.listen" => slow(1, sockets::udp_listen),
        "proc.num" => either(5, process::total, process::count),
        "system.uptime" => item(0, host::uptime),
        "system.boottime" => item(0, host::boot_time),
        "system.localtime" => item(1, host::local_time),
        "system.hostname" => item(2, host::hostname),
        "system.uname" => item(0, host::uname),
        "system.sw.arch" => item(0, host::architecture),
        "system.users.num" => item(0, host::users),
        "kernel.maxfiles" => either(0, kernel::known_max_files, kernel::max_files),
        "kernel.maxproc" => either(0, kernel::known_max_processes, kernel::max_processes),
        "kernel.openfiles" => either(0, kernel::known_open_files, kernel::open_files),
        "moonward.get" => item(64, series::get),
        "moonward.rate" => item(64, series::rate),
        "moonward.discovery" => item(1, discovery::document),
        _ => return None,
    })
}

impl Items {
    /// Answers from `store`; [`Self::refresh`] has to be called at the pace of collection.
    pub fn new(store: Store, identity: Identity, root: Root) -> Self {
        let (catalogue, history) = Default::default();
        Self {
            store,
            identity,
            root,
            catalogue,
            history,
        }
    }

    /// Takes over what the collectors have put since the last time: what there is to discover, and
    /// the next point of the averages. Every 5 to 10 seconds, on a thread that may take a while.
    pub fn refresh(&self) {
        let catalogue = Arc::new(Catalogue::scan(&self.store));
        let mut history = self.history.write().unwrap_or_else(PoisonError::into_inner);
        for series in cpu::followed(&catalogue).chain(disk::followed(&catalogue)) {
            if let Some(reading) = self.store.get(&series)
                && let Some(value) = reading.value.as_f64()
            {
                history.record(&series, reading.at, value);
            }
        }
        history.forget_gone(self.store.clock().now());
        drop(history);
        *self
            .catalogue
            .write()
            .unwrap_or_else(PoisonError::into_inner) = catalogue;
    }

    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(
            &self
                .catalogue
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(super) fn history(&self) -> RwLockReadGuard<'_, History> {
        self.history.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a series as a number.
    pub(super) fn number(&self, series: &str) -> Option<f64> {
        self.store.get(series)?.value.as_f64()
    }

    /// The value of a series as a whole number: counts and bytes.
    pub(super) fn whole(&self, series: &str) -> Option<u64> {
        match self.store.get(series)?.value {
            Value::Unsigned(number) => Some(number),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates, and what is counted is not negative"
            )]
            Value::Float(number) => Some(number as u64),
            Value::Text(_) | Value::Histogram(_) => None,
        }
    }

    /// Reads one of the kernel's files, on a worker only.
    pub(super) fn read_file(&self, path: &str) -> Result<String, NotSupported> {
        self.root.read(path).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            NotSupported(format!("Cannot open {path}: {}", source.unwrap_or_default()).into())
        })
    }
}

impl Answer for Items {
    fn answer(&self, key: &ItemKey<'_>, out: &mut String) -> Outcome {
        match find(key.name) {
            Some(item) => {
                check_parameters(key, item.parameters)?;
                (item.fast)(self, key, out)
            }
            None => series::any(self, key, out),
        }
    }

    fn answer_slowly(&self, key: &ItemKey<'_>, out: &mut String) -> Result<(), NotSupported> {
        match find(key.name) {
            Some(item) => (item.slow)(self, key, out),
            None => series::search(self, key, out),
        }
    }

    fn answer_verbatim(&self, text: &str, out: &mut String) -> bool {
        series::verbatim(self, text, out)
    }
}

fn check_parameters(key: &ItemKey<'_>, most: usize) -> Result<(), NotSupported> {
    match (most, key.parameters.len()) {
        (0, given) if given > 0 => Err(NotSupported::because("Item does not allow parameters.")),
        (most, given) if given > most => Err(NotSupported::because("Too many parameters.")),
        _ => Ok(()),
    }
}

/// Zabbix's text for a parameter with an unknown value; `position` counts from one.
pub(super) fn invalid(position: usize) -> Refusal {
    NotSupported(Cow::Borrowed(match position {
        1 => "Invalid first parameter.",
        2 => "Invalid second parameter.",
        3 => "Invalid third parameter.",
        _ => "Invalid fourth parameter.",
    }))
    .into()
}

/// The value is one that a collector should have put and has not.
pub(super) fn missing(what: &'static str) -> Refusal {
    NotSupported::because(what).into()
}
