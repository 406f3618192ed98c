//! The agent when descriptors run out for a while: what runs goes on, and what was missed is found.

use std::io::{BufRead as _, BufReader};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::place::eventually;
use crate::plugins::{is, page, place, save};

#[test]
fn plugins_go_on_while_their_directory_cannot_be_read() {
    let place = place("restart_delay = \"1s\"\n");
    let endless = |key: &str| format!("metrics.set('{key}', 1) while true do time.sleep(60) end");
    save(&place, "a.lua", &endless("a"));
    let mut agent = place.start();
    assert!(eventually(|| is(&place, "a", "active")));
    let mut log = BufReader::new(agent.child.stderr.take().unwrap()).lines();
    let pid = Pid::from_raw(agent.child.id().cast_signed());
    let limit = |current| Rlimit {
        current,
        maximum: Some(1024),
    };
    prlimit(pid, Resource::Nofile, limit(Some(3))).unwrap();
    save(&place, "b.lua", &endless("b"));
    let told = log.find(|line| {
        let line = line.as_ref().unwrap();
        line.contains("a directory of plugins cannot be looked into")
    });
    let (told, directory) = (told.unwrap().unwrap(), place.path("plugins"));
    let reason = format!("open {}: Too many open files", directory.display());
    assert!(told.contains(&reason), "{told}");
    prlimit(pid, Resource::Nofile, limit(Some(1024))).unwrap();
    // Nothing tells the agent so; it looks again by itself.
    assert!(eventually(|| is(&place, "b", "active")));
    let name = directory.display().to_string();
    assert!(eventually(|| page(&place, &name).is_none()));
    let a = page(&place, "a").unwrap();
    assert_eq!(a["verdict"], "active");
    assert_eq!(a["details"]["restarts"], 0, "{a}");
}
