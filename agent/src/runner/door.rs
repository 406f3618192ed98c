//! Where the runner's connections come from.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketType, recvmsg,
    sockopt,
};
use thiserror::Error;
use tokio::io::Interest;

/// Where connections come from.
#[derive(Debug)]
pub enum Door {
    /// A socket that listens, as systemd passes one.
    Listening(UnixListener),
    /// One connection; the runner ends with it.
    Connected(UnixStream),
    /// A connected socket of packets (`SOCK_SEQPACKET`), each of which brings one connection's
    /// socket (`SCM_RIGHTS`); the runner ends when it is closed.
    Passing(OwnedFd),
}

/// Why a descriptor is no door.
#[derive(Debug, Error)]
#[error("it is not a connected unix socket, of a stream or of packets")]
pub struct DoorError;

impl Door {
    /// A door from one connected socket, whichever of the two kinds it is.
    pub fn connected(descriptor: OwnedFd) -> Result<Self, DoorError> {
        let unix = sockopt::socket_domain(&descriptor) == Ok(AddressFamily::UNIX);
        if !unix || sockopt::socket_acceptconn(&descriptor).unwrap_or(true) {
            return Err(DoorError);
        }
        match sockopt::socket_type(&descriptor) {
            Ok(SocketType::STREAM) => Ok(Self::Connected(descriptor.into())),
            Ok(SocketType::SEQPACKET) => Ok(Self::Passing(descriptor)),
            _ => Err(DoorError),
        }
    }
}

/// The door as the server waits at it.
#[derive(Debug)]
pub(super) enum Entrance {
    Listening(tokio::net::UnixListener),
    /// The connection, until it was taken.
    Connected(Option<UnixStream>),
    /// Only waited at and received from as what it is, never read as a stream.
    Passing(tokio::net::UnixStream),
}

impl Entrance {
    pub(super) fn open(door: Door) -> io::Result<Self> {
        Ok(match door {
            Door::Listening(listener) => {
                listener.set_nonblocking(true)?;
                Self::Listening(tokio::net::UnixListener::from_std(listener)?)
            }
            Door::Connected(stream) => Self::Connected(Some(stream)),
            Door::Passing(descriptor) => {
                let socket = UnixStream::from(descriptor);
                socket.set_nonblocking(true)?;
                Self::Passing(tokio::net::UnixStream::from_std(socket)?)
            }
        })
    }

    /// The next connection; `None` when there will be no other. Nothing is lost when this is given
    /// up.
    pub(super) async fn next(&mut self) -> io::Result<Option<tokio::net::UnixStream>> {
        let stream = match self {
            Self::Listening(listener) => return listener.accept().await.map(|(new, _)| Some(new)),
            Self::Connected(stream) => stream.take(),
            Self::Passing(socket) => {
                let passed = socket
                    .async_io(Interest::READABLE, || Ok(receive(&*socket)?))
                    .await?;
                match passed {
                    Passed::Connection(stream) => Some(stream),
                    Passed::Nothing => {
                        let message = "a packet came without a connection";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                    }
                    Passed::End => None,
                }
            }
        };
        let Some(stream) = stream else {
            return Ok(None);
        };
        stream.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(stream).map(Some)
    }
}

/// What came over the socket of packets.
enum Passed {
    Connection(UnixStream),
    Nothing,
    End,
}

fn receive(socket: &impl AsFd) -> Result<Passed, Errno> {
    // For one; the kernel closes any others.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut passed = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            passed = descriptors.last();
        }
    }
    Ok(match passed {
        Some(descriptor) => match Door::connected(descriptor) {
            Ok(Door::Connected(stream)) => Passed::Connection(stream),
            _ => Passed::Nothing,
        },
        None if received.bytes == 0 => Passed::End,
        None => Passed::Nothing,
    })
}
