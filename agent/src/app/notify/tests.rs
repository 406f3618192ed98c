use std::os::unix::net::UnixDatagram;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::*;

/// A stand-in for systemd's end of the line.
struct Systemd {
    socket: UnixDatagram,
    _directory: tempfile::TempDir,
    line: Notifier,
}

fn systemd() -> Systemd {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let line = Notifier::to(path.as_os_str()).unwrap();
    Systemd {
        socket,
        _directory: directory,
        line,
    }
}

impl Systemd {
    fn hears(&self) -> String {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }
}

#[test]
fn each_state_is_one_message() {
    let systemd = systemd();
    systemd.line.ready("98 series");
    assert_eq!(systemd.hears(), "READY=1\nSTATUS=98 series");
    systemd.line.reloading();
    let heard = systemd.hears();
    let (first, time) = heard.split_once("\nMONOTONIC_USEC=").unwrap();
    assert_eq!(first, "RELOADING=1");
    assert!(time.parse::<u64>().unwrap() > 0);
    systemd.line.watchdog();
    assert_eq!(systemd.hears(), "WATCHDOG=1");
    systemd.line.extend_timeout(Duration::from_secs(5));
    assert_eq!(systemd.hears(), "EXTEND_TIMEOUT_USEC=5000000");
    systemd.line.stopping("writing the snapshot");
    assert_eq!(systemd.hears(), "STOPPING=1\nSTATUS=writing the snapshot");
}

#[test]
fn a_status_cannot_give_orders() {
    let systemd = systemd();
    systemd.line.status("fine\nWATCHDOG=trigger\nMAINPID=1");
    assert_eq!(systemd.hears(), "STATUS=fine WATCHDOG=trigger MAINPID=1");
    systemd.line.status(&"ä".repeat(5000));
    assert_eq!(systemd.hears().len(), "STATUS=".len() + STATUS_LIMIT);
}

#[test]
fn a_remark_follows_the_status_until_it_is_taken_away() {
    let systemd = systemd();
    systemd.line.remark("watchdog", "late: store");
    assert_eq!(systemd.hears(), "STATUS=late: store");
    systemd.line.status("98 series");
    assert_eq!(systemd.hears(), "STATUS=98 series; late: store");
    systemd.line.remark("configuration", "bad");
    assert_eq!(systemd.hears(), "STATUS=98 series; bad; late: store");
    systemd.line.remark("watchdog", "");
    assert_eq!(systemd.hears(), "STATUS=98 series; bad");
    systemd.line.remark("configuration", "");
    systemd.line.status("99 series");
    assert_eq!(systemd.hears(), "STATUS=98 series");
    assert_eq!(systemd.hears(), "STATUS=99 series");
}

#[test]
fn a_kept_descriptor_travels_with_its_name() {
    let systemd = systemd();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    systemd.line.keep("map/block/io", writer.as_fd()).unwrap();
    drop(writer);

    let mut text = [0; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length = recvmsg(
        &systemd.socket,
        &mut [std::io::IoSliceMut::new(&mut text)],
        &mut ancillary,
        RecvFlags::empty(),
    )
    .unwrap()
    .bytes;
    assert_eq!(&text[..length], b"FDSTORE=1\nFDNAME=map/block/io\nFDPOLL=0");
    let kept: Vec<OwnedFd> = ancillary
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        })
        .collect();
    rustix::io::write(&kept[0], b"still here").unwrap();
    let mut read = [0; 16];
    assert_eq!(rustix::io::read(&reader, &mut read).unwrap(), 10);

    systemd.line.forget("map/block/io").unwrap();
    assert_eq!(systemd.hears(), "FDSTOREREMOVE=1\nFDNAME=map/block/io");
}

#[test]
fn names_that_systemd_would_ignore_are_refused() {
    let line = Notifier::off();
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    for name in [
        "",
        "map:block",
        "a\nWATCHDOG=trigger",
        "ü",
        &"x".repeat(256),
    ] {
        assert!(
            matches!(
                line.keep(name, writer.as_fd()),
                Err(NotifyError::BadName { .. })
            ),
            "{name:?}"
        );
    }
    line.keep(&"x".repeat(255), writer.as_fd()).unwrap();
}

#[test]
fn a_systemd_that_does_not_read_blocks_nobody() {
    let systemd = systemd();
    // The queue of a datagram socket holds net.unix.max_dgram_qlen messages; far fewer than this.
    for _ in 0..100_000 {
        systemd.line.watchdog();
        if systemd.line.lost() > 0 {
            break;
        }
    }
    assert!(systemd.line.lost() > 0);
    assert_eq!(systemd.hears(), "WATCHDOG=1");
}

#[test]
fn without_a_listener_nothing_happens() {
    let line = Notifier::off();
    line.ready("nobody hears this");
    assert_eq!(line.lost(), 0);
    assert!(matches!(
        Notifier::to(OsStr::new("/nonexistent/notify")),
        Err(NotifyError::Unreachable { .. })
    ));
}
