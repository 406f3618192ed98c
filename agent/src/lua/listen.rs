//! Doors for `/metrics` that scripts ask for.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a script wants a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// A port at all addresses of this machine, as far as the administrator allows it: `:2345`.
    Everywhere(u16),
    /// A port at one address.
    At(SocketAddr),
}

impl ListenAddress {
    /// Reads `:PORT`, `ADDRESS:PORT` (an IPv6 address in brackets) or `localhost:PORT`. Any port
    /// (0) is none: nobody could be told which it is.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let known = match host {
            "" => Self::Everywhere(number(port)?),
            "localhost" => Self::At((Ipv4Addr::LOCALHOST, number(port)?).into()),
            _ => Self::At(text.parse().ok()?),
        };
        let port = match known {
            Self::Everywhere(port) => port,
            Self::At(address) => address.port(),
        };
        (port > 0).then_some(known)
    }
}

/// A port as it is written: digits alone.
fn number(text: &str) -> Option<u16> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

/// How a script has `/metrics` served at one more address: opens a door, or finds the one that is
/// open there.
#[derive(Clone)]
pub struct Listen(pub Arc<Open>);

/// Opens a door, which is open for as long as what this gives is held. An error is told to the
/// script.
pub type Open = dyn Fn(ListenAddress) -> Result<HeldDoor, String> + Send + Sync;

/// What keeps a door open.
pub type HeldDoor = Box<dyn Any + Send + Sync>;

impl fmt::Debug for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Listen")
    }
}

/// The doors that one script has asked for; they are open for as long as this is there.
#[derive(Default)]
pub(super) struct Doors(Mutex<HashMap<ListenAddress, HeldDoor>>);

impl Doors {
    /// Opens a door and holds it; one that is held already stays as it is.
    ///
    /// # Errors
    /// What the script is to be told when the door cannot be had.
    pub(super) fn open(&self, listen: &Listen, address: ListenAddress) -> Result<(), String> {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Vacant(place) = doors.entry(address) {
            place.insert((listen.0)(address)?);
        }
        Ok(())
    }
}

impl fmt::Debug for Doors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.debug_set().entries(doors.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("localhost:65535", "127.0.0.1:65535"),
            ("[::1]:80", "[::1]:80"),
            ("0.0.0.0:2345", "0.0.0.0:2345"),
            ("[::]:2345", "[::]:2345"),
        ] {
            let expected = ListenAddress::At(expected.parse().unwrap());
            assert_eq!(ListenAddress::parse(text), Some(expected), "{text}");
        }
        let everywhere = ListenAddress::Everywhere(2345);
        assert_eq!(ListenAddress::parse(":2345"), Some(everywhere));
        for text in [
            "",
            "2345",
            ":",
            ":0",
            ":65536",
            ":+1",
            "::1:80",
            "host:80",
            "[1.2.3.4]:5",
            "1.2.3.4:0",
        ] {
            assert_eq!(ListenAddress::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_has_an_answer(text in ".{0,60}", near in "[\\[\\]0-9a-f:.]{0,30}") {
            for text in [text, near] {
                match ListenAddress::parse(&text) {
                    Some(ListenAddress::At(address)) => prop_assert!(address.port() > 0),
                    Some(ListenAddress::Everywhere(port)) => prop_assert!(port > 0),
                    None => {}
                }
            }
        }

        #[test]
        fn every_address_is_read_back(address: SocketAddr) {
            let expected = (address.port() > 0).then_some(ListenAddress::At(address));
            let is_plain = match address {
                SocketAddr::V6(address) => address.flowinfo() == 0,
                SocketAddr::V4(_) => true,
            };
            prop_assume!(is_plain);
            prop_assert_eq!(ListenAddress::parse(&address.to_string()), expected);
        }
    }
}
