//! The other end: what this same program does inside the machine under test.
//!
//! `serve PORT` answers the workshop over a virtio serial port. The other verbs are known
//! workloads, whose size the scenarios compare with what Moonward counted.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::wire::{self, Reply, Request};
use crate::process::Program;

/// Where the output of commands goes. A pipe would stay open as long as any process that the
/// command left behind; a file does not.
const SCRATCH: &str = "/run/moonward-workshop";

/// Pause between two looks at a port that nobody has connected to.
const RETRY: Duration = Duration::from_millis(50);

/// The hidden verb `guest`.
pub(crate) fn verb(arguments: &[OsString]) -> Result<()> {
    let words: Vec<String> = arguments
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", port] => serve(Path::new(port)),
        ["tcp-loop", count] => tcp_loop(count.parse().context("count")?),
        _ => bail!("guest serve PORT | guest tcp-loop COUNT"),
    }
}

/// Opens that many TCP connections to itself on loopback, one after the other, each with one byte
/// to and fro so that both ends are known to be established.
fn tcp_loop(count: u32) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    for _ in 0..count {
        let mut near = TcpStream::connect(address)?;
        let (mut far, _) = listener.accept()?;
        near.write_all(b"m")?;
        let mut byte = [0];
        far.read_exact(&mut byte)?;
        far.write_all(&byte)?;
        near.read_exact(&mut byte)?;
    }
    println!("{count}");
    Ok(())
}

/// Answers until the machine goes down.
fn serve(port: &Path) -> Result<()> {
    fs::create_dir_all(SCRATCH).context("scratch directory")?;
    while !port.exists() {
        std::thread::sleep(RETRY);
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(port)
        .with_context(|| format!("cannot open {}", port.display()))?;
    let mut port = Port(file);
    loop {
        let (request, body): (Request, Vec<u8>) = wire::read(&mut port)?;
        let (reply, body) = answer(&request, &body).unwrap_or_else(|error| {
            (
                Reply::Failed {
                    reason: format!("{error:#}"),
                },
                Vec::new(),
            )
        });
        wire::write(&mut port, &reply, &body)?;
    }
}

/// A virtio port reads as ended while nobody is connected on the other side; that is not the end.
struct Port(File);

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer)? {
                0 => std::thread::sleep(RETRY),
                length => return Ok(length),
            }
        }
    }
}

impl Write for Port {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn answer(request: &Request, body: &[u8]) -> Result<(Reply, Vec<u8>)> {
    match request {
        Request::Ping => Ok((Reply::Done, Vec::new())),
        Request::Run { command, seconds } => run(command, *seconds),
        Request::Push { path, mode } => {
            let path = Path::new(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, body)?;
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
            Ok((Reply::Done, Vec::new()))
        }
        Request::Pull { path } => Ok((Reply::File, fs::read(path)?)),
    }
}

fn run(command: &str, seconds: u64) -> Result<(Reply, Vec<u8>)> {
    let scratch = Path::new(SCRATCH);
    let (out, err) = (scratch.join("out"), scratch.join("err"));
    // A new file each time: a process that an earlier command left behind keeps its own.
    for path in [&out, &err] {
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    let status = Program::new("timeout")
        .args([
            "--kill-after=5",
            &seconds.to_string(),
            "bash",
            "-c",
            command,
        ])
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LC_ALL", "C.UTF-8")
        .without_input()
        .output_to(File::create(&out)?)
        .errors_to(File::create(&err)?)
        .status()?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let mut body = fs::read(&out)?;
    let stdout = u32::try_from(body.len())?;
    body.extend(fs::read(&err)?);
    Ok((
        Reply::Ended {
            status: code,
            stdout,
        },
        body,
    ))
}
