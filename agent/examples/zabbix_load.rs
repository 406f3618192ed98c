//! Load on a Zabbix agent's port: requests per second, latency, CPU per request.
//!
//! ```text
//! zabbix_load load ADDRESS KEY REQUESTS CLIENTS plain|json [PID[,PID]...]
//! zabbix_load serve ADDRESS
//! ```
//!
//! `load` opens one connection per request, as a Zabbix server does, and reads the reply by its
//! announced length. With process ids it also says how much CPU those took per request, from
//! `/proc/PID/task/*/schedstat`. `serve` opens the bare door, which answers every key with `1`,
//! until standard input ends: the floor under everything that an item costs on top.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use moonward::model::{Clock, Moment};
use moonward::serve::zabbix::access::AllowList;
use moonward::serve::zabbix::answer::{Answer, Refusal};
use moonward::serve::zabbix::door::Door;
use moonward::serve::zabbix::header::{self, HEADER_LEN};
use moonward::serve::zabbix::item_key::ItemKey;
use rustix::event::{PollFd, PollFlags, poll};

/// Threads of the client; its half of the work is the larger one, so one would not be enough.
const THREADS: usize = 2;

struct One;

impl Answer for One {
    fn answer(&self, _: &ItemKey<'_>, out: &mut String) -> Result<(), Refusal> {
        out.push('1');
        Ok(())
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", address] => serve(address),
        ["load", address, key, requests, clients, form, rest @ ..] => {
            let pids = rest
                .first()
                .map(|list| list.split(',').collect())
                .unwrap_or_default();
            let load = Load {
                address: address.parse()?,
                request: frame(key, form)?,
                requests: requests.parse()?,
                clients: clients.parse()?,
                pids,
            };
            load.run()
        }
        _ => bail!("usage: load ADDRESS KEY REQUESTS CLIENTS plain|json [PIDS] | serve ADDRESS"),
    }
}

fn serve(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    let allowed =
        AllowList::parse("127.0.0.1,::1").map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let door = Door::open(listener, allowed, Arc::new(One), Clock::System)?;
    println!(
        "listening on {}, process {}",
        door.address(),
        std::process::id()
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:?} after {} turns", door.counters().list(), door.turns());
    Ok(())
}

fn frame(key: &str, form: &str) -> Result<Vec<u8>> {
    let body = match form {
        "plain" => key.to_owned(),
        "json" => serde_json::json!({
            "request": "passive checks", "data": [{"key": key, "timeout": 3}]
        })
        .to_string(),
        other => bail!("{other:?} is neither plain nor json"),
    };
    let mut frame = Vec::new();
    header::encode(body.as_bytes(), &mut frame);
    Ok(frame)
}

struct Load<'a> {
    address: SocketAddr,
    request: Vec<u8>,
    requests: u64,
    clients: usize,
    pids: Vec<&'a str>,
}

impl Load<'_> {
    fn run(&self) -> Result<()> {
        println!("reply: {:?}", String::from_utf8_lossy(&self.ask()?));
        let clock = Clock::System;
        let cpu_before = self.cpu()?;
        let start = clock.now();
        let threads = THREADS.min(self.clients);
        let mut nanoseconds: Vec<u64> = std::thread::scope(|scope| {
            let share = |of: u64, index: usize| {
                let (index, threads) = (index as u64, threads as u64);
                of * (index + 1) / threads - of * index / threads
            };
            let threads: Vec<_> = (0..threads)
                .map(|index| {
                    let clients = share(self.clients as u64, index);
                    let requests = share(self.requests, index);
                    let clock = &clock;
                    scope.spawn(move || self.ask_concurrently(clock, clients, requests))
                })
                .collect();
            let answers = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            answers
                .map(|answer| answer.unwrap_or_else(|_| bail!("a client panicked")))
                .collect::<Result<Vec<_>>>()
        })?
        .concat();
        let seconds = clock.now().since(start).as_secs_f64();
        let cpu = self.cpu()?.saturating_sub(cpu_before);
        nanoseconds.sort_unstable();
        let done = nanoseconds.len();
        let quantile = |part: usize| {
            let at = (done * part / 1000).min(done.saturating_sub(1));
            nanoseconds.get(at).map_or(0.0, |ns| *ns as f64 / 1000.0)
        };
        println!(
            "{done} requests, {} clients: {:.0}/s, p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, \
             max {:.0} us, server CPU {:.2} us per request",
            self.clients,
            done as f64 / seconds,
            quantile(500),
            quantile(990),
            quantile(999),
            quantile(1000),
            cpu as f64 / 1000.0 / done as f64,
        );
        Ok(())
    }

    /// Keeps as many connections under way as there are clients, from one thread, as the pollers of
    /// Zabbix 7 do: a thread per client would cost more than the agent and hide it.
    fn ask_concurrently(&self, clock: &Clock, clients: u64, requests: u64) -> Result<Vec<u64>> {
        let mut took = Vec::new();
        let mut under_way: Vec<(TcpStream, Moment)> = Vec::new();
        let mut left = requests;
        loop {
            while left > 0 && (under_way.len() as u64) < clients {
                left -= 1;
                let start = clock.now();
                let mut stream = TcpStream::connect(self.address)?;
                stream.write_all(&self.request)?;
                under_way.push((stream, start));
            }
            if under_way.is_empty() {
                return Ok(took);
            }
            let mut watched: Vec<PollFd<'_>> = under_way
                .iter()
                .map(|(stream, _)| PollFd::new(stream, PollFlags::IN))
                .collect();
            poll(&mut watched, None)?;
            let ready: Vec<bool> = watched
                .iter()
                .map(|watched| !watched.revents().is_empty())
                .collect();
            let mut ready = ready.into_iter();
            let mut failure = None;
            under_way.retain_mut(|(stream, start)| {
                if ready.next() != Some(true) {
                    return true;
                }
                failure = read_reply(stream).err().or(failure.take());
                took.push(u64::try_from(clock.now().since(*start).as_nanos()).unwrap_or(0));
                false
            });
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
    }

    /// One request on a connection of its own; the body of the reply.
    fn ask(&self) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(&self.request)?;
        read_reply(&mut stream)
    }

    /// CPU time of the watched processes so far, in nanoseconds.
    fn cpu(&self) -> Result<u64> {
        let mut sum = 0;
        for pid in self.pids.iter().filter(|pid| !pid.is_empty()) {
            for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("process")? {
                let schedstat = std::fs::read_to_string(task?.path().join("schedstat"))?;
                let running = schedstat.split_whitespace().next().context("schedstat")?;
                sum += running.parse::<u64>()?;
            }
        }
        Ok(sum)
    }
}

/// Reads a reply up to its announced length and returns its body.
fn read_reply(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut reply = vec![0; 4096];
    let mut have = 0;
    loop {
        let read = stream.read(reply.get_mut(have..).unwrap_or_default())?;
        if read == 0 {
            bail!("the agent closed the connection after {have} bytes");
        }
        have += read;
        let Some(length) = reply.get(5..9).and_then(|field| field.first_chunk::<4>()) else {
            continue;
        };
        let want = HEADER_LEN + usize::try_from(u32::from_le_bytes(*length))?;
        if have >= want {
            reply.truncate(want);
            return Ok(reply.split_off(HEADER_LEN));
        }
        reply.resize(want.max(4096), 0);
    }
}
