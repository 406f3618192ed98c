//! What is used of systemd's bus interface, as org.freedesktop.systemd1(5) describes it.
//!
//! Properties are asked for each time: nothing is cached, for a stale state of a unit is worse than
//! one more call.

use zbus::OwnedObjectPath;

/// One line of `ListUnits`: name, description, load state, active state, sub state, followed unit,
/// path, job number, job type, job path.
pub type ListedUnit = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

/// The service manager.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub trait Manager {
    /// Every unit that is loaded.
    fn list_units(&self) -> zbus::Result<Vec<ListedUnit>>;

    /// The path of a loaded unit.
    fn get_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    /// The path of a unit, which is loaded if it is not.
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    /// Enqueues a start; `mode` is `replace`, `fail` and so on. Returns the job's path.
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Enqueues a stop.
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Enqueues a restart, also of a unit that is not running.
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Enqueues a restart of a unit that is running.
    fn try_restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Enqueues a reload.
    fn reload_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Enqueues a reload, or a restart where the unit cannot reload.
    fn reload_or_restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Forgets that a unit failed.
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;

    /// Asks for signals; without it systemd sends none.
    fn subscribe(&self) -> zbus::Result<()>;

    /// Ends the subscription.
    fn unsubscribe(&self) -> zbus::Result<()>;

    /// A job has ended; `result` is `done`, `failed`, `timeout`, `dependency`, `canceled`, ….
    #[zbus(signal)]
    fn job_removed(
        &self,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;

    /// The state of the whole: `starting`, `running`, `degraded`, `maintenance`, `stopping`, ….
    #[zbus(property(emits_changed_signal = "false"))]
    fn system_state(&self) -> zbus::Result<String>;

    /// The version, such as `252.39-1~deb12u1`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;
}

/// A unit of any kind.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Unit",
    default_service = "org.freedesktop.systemd1"
)]
pub trait Unit {
    /// The name.
    #[zbus(property(emits_changed_signal = "false"))]
    fn id(&self) -> zbus::Result<String>;

    /// `loaded`, `not-found`, `masked`, ….
    #[zbus(property(emits_changed_signal = "false"))]
    fn load_state(&self) -> zbus::Result<String>;

    /// `active`, `inactive`, `failed`, `activating`, ….
    #[zbus(property(emits_changed_signal = "false"))]
    fn active_state(&self) -> zbus::Result<String>;

    /// The state in the words of the unit's kind: `running`, `listening`, `exited`, ….
    #[zbus(property(emits_changed_signal = "false"))]
    fn sub_state(&self) -> zbus::Result<String>;
}

/// What services have beyond units.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Service",
    default_service = "org.freedesktop.systemd1"
)]
pub trait Service {
    /// How often systemd has restarted it on its own.
    #[zbus(property(emits_changed_signal = "false"), name = "NRestarts")]
    fn restarts(&self) -> zbus::Result<u32>;

    /// The main process, 0 without one.
    #[zbus(property(emits_changed_signal = "false"), name = "MainPID")]
    fn main_pid(&self) -> zbus::Result<u32>;

    /// How the last run ended: `success`, `exit-code`, `signal`, `oom-kill`, ….
    #[zbus(property(emits_changed_signal = "false"))]
    fn result(&self) -> zbus::Result<String>;
}

/// A job that waits or runs.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Job",
    default_service = "org.freedesktop.systemd1"
)]
pub trait Job {
    /// Takes it out of the queue.
    fn cancel(&self) -> zbus::Result<()>;

    /// The number.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> zbus::Result<u32>;

    /// `start`, `stop`, `restart`, ….
    #[zbus(property(emits_changed_signal = "const"))]
    fn job_type(&self) -> zbus::Result<String>;

    /// `waiting` or `running`.
    #[zbus(property(emits_changed_signal = "false"))]
    fn state(&self) -> zbus::Result<String>;
}
