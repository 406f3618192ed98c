//! Doors for `/metrics` that scripts ask for.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How a script has `/metrics` served at one more address.
#[derive(Clone)]
pub struct Listen {
    /// Opens a door, or finds the one that is open at the address.
    pub open: Arc<Open>,
    /// Whether the administrator lets others than this machine read there, so that an address
    /// without a host means all interfaces.
    pub beyond_loopback: bool,
}

/// Opens a door, which is open for as long as what this gives is held. An error is told to the
/// script.
pub type Open = dyn Fn(SocketAddr) -> Result<HeldDoor, String> + Send + Sync;

/// What keeps a door open.
pub type HeldDoor = Box<dyn Any + Send + Sync>;

impl fmt::Debug for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Listen")
            .field("beyond_loopback", &self.beyond_loopback)
            .finish_non_exhaustive()
    }
}

/// The doors that one script has asked for; they are open for as long as this is there.
#[derive(Default)]
pub(super) struct Doors(Mutex<HashMap<SocketAddr, HeldDoor>>);

impl Doors {
    /// Holds a door open.
    pub(super) fn hold(&self, address: SocketAddr, door: HeldDoor) {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doors.insert(address, door);
    }
}

impl fmt::Debug for Doors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.debug_set().entries(doors.keys()).finish()
    }
}
