//! The command line against a service in the test's own process.

mod house;

use std::io::Read;
use std::process::Stdio;

use house::{House, Outcome, Place, outcome, parrot};
use moonward::model::Unit;
use moonward::serve::control::{AppCommand, Reloaded};
use moonward::telemetry::{Room, Verdict};
use serde_json::{Value, json};

#[expect(
    clippy::unwrap_used,
    reason = "a reply that is not JSON fails the test"
)]
fn parsed(shown: &Outcome) -> Value {
    assert_eq!(
        (shown.err.as_str(), shown.status),
        ("", Some(0)),
        "{shown:?}"
    );
    serde_json::from_str(&shown.out).unwrap()
}

#[test]
fn get_prints_one_value_however_the_key_is_typed() {
    let house = House::furnished();
    for (words, expected) in [
        (&["load"][..], "0.25\n"),
        (&["disk.used{device=\"vda\",mode=\"rw\"}"], "7\n"),
        (&["disk.used{mode=rw, device=vda}"], "7\n"),
        (&["disk.used mode=rw device=vda"], "7\n"),
        (&["disk.used", "mode=rw", "device=vda"], "7\n"),
        (&["words"], "two words\n"),
        (&["--", "load"], "0.25\n"),
        (&["latency"], "count=2 sum=3 p50=1.5 p90=1.5 p99=1.5\n"),
    ] {
        let shown = house.place.moonward(&[&["get"], words].concat());
        assert_eq!(shown, Outcome::new(expected, "", 0), "{words:?}");
    }
}

#[test]
fn a_key_after_two_dashes_is_never_an_option() {
    let house = House::open();
    house.put(|batch| batch.text("--json", &[], "a key"));
    let shown = house.place.moonward(&["get", "--", "--json"]);
    assert_eq!(shown, Outcome::new("a key\n", "", 0));
}

#[test]
fn an_unknown_key_exits_1_and_a_missing_service_69() {
    let house = House::open();
    let shown = house.place.moonward(&["get", "absent"]);
    assert_eq!((shown.out.as_str(), shown.status), ("", Some(1)));
    assert!(
        shown
            .err
            .starts_with("moonward: no value is known for \"absent\""),
        "{shown:?}"
    );
    let place = Place::new();
    for verb in [&["get", "x"][..], &["ping"], &["status"], &["metrics"]] {
        let shown = place.moonward(verb);
        assert_eq!(
            (shown.out.as_str(), shown.status),
            ("", Some(69)),
            "{verb:?}"
        );
        assert!(shown.err.contains("systemctl start moonward"), "{shown:?}");
    }
}

#[test]
fn get_shows_rates_and_whole_histograms() {
    let house = House::furnished();
    assert_eq!(
        house.place.moonward(&["get", "--rate", "bytes"]).status,
        Some(1)
    );
    house.put(|batch| batch.counter("bytes", &[], Unit::BYTES, 3_000_000_u64));
    let shown = house.place.moonward(&["get", "--rate", "bytes"]);
    let rate: f64 = shown.out.trim_end().parse().unwrap();
    assert!(rate > 0.0, "{shown:?}");
    let element = parsed(&house.place.moonward(&["get", "--json", "bytes"]));
    // The JSON reader of this test is not exact in the last digit.
    let difference = element["rate"].as_f64().unwrap() / rate - 1.0;
    assert!(difference.abs() < 1e-12, "{difference}");
    let element = parsed(&house.place.moonward(&["get", "latency", "--json"]));
    assert_eq!(
        element["value"]["buckets"],
        json!([{"lower": 1.0, "upper": 2.0, "count": 2}])
    );
}

#[test]
fn metrics_are_filtered_and_stable() {
    let house = House::furnished();
    let all = house.place.moonward(&["metrics"]);
    let expected = "bytes\t1000000\tBy\n\
                    disk.used{device=\"vda\",mode=\"rw\"}\t7\tBy\n\
                    latency\tcount=2 sum=3 p50=1.5 p90=1.5 p99=1.5\ts\n\
                    load\t0.25\t1\n\
                    tagged{a=\"b\"}\t1\t1\n\
                    words\ttwo words\t\n";
    assert_eq!(all, Outcome::new(expected, "", 0));
    let some = house.place.moonward(&["metrics", "*{device=\"vda\"*"]);
    assert_eq!(some.out.lines().count(), 1);
    assert_eq!(
        house.place.moonward(&["metrics", "no.*"]),
        Outcome::new("", "", 0)
    );
    assert_eq!(
        house.place.moonward(&["metrics", "--json", "no.*"]),
        Outcome::new("[]\n", "", 0)
    );
    let list = parsed(&house.place.moonward(&["metrics", "--json", "disk*"]));
    let element = &list[0];
    assert_eq!(element["name"], "disk.used");
    assert_eq!(element["tags"], json!({"device": "vda", "mode": "rw"}));
    assert_eq!(
        (&element["kind"], &element["unit"]),
        (&json!("gauge"), &json!("By"))
    );
    let now = house.store.clock().wall().seconds() as f64;
    assert!((element["time"].as_f64().unwrap() - now).abs() < 30.0);
    assert!(element["ttl"].as_f64().unwrap() <= 300.0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let house = House::open();
    house.put(|batch| {
        for index in 0..10_000_u64 {
            batch.gauge("x", &[("index", &index.to_string())], Unit::ONE, index);
        }
    });
    let mut child = house
        .place
        .command(std::path::Path::new(env!("CARGO_BIN_EXE_moonward")))
        .arg("metrics")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn status_is_a_table_and_json() {
    let house = House::open();
    house
        .board
        .part(Room::Probe, "block", Verdict::Unsupported("no BTF".into()));
    let shown = house.place.moonward(&["status"]);
    assert_eq!((shown.err.as_str(), shown.status), ("", Some(0)));
    assert!(
        shown.out.contains("\nblock    unsupported "),
        "{}",
        shown.out
    );
    assert!(shown.out.contains("no BTF") && !shown.out.contains('\x1b'));
    let status = parsed(&house.place.moonward(&["status", "--json"]));
    assert_eq!(status["pid"], std::process::id());
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let names: Vec<&str> = status["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["block", "control", "zalua"]);
}

#[test]
fn ping_and_plugins_answer() {
    let house = House::open();
    assert_eq!(
        house.place.moonward(&["ping"]),
        Outcome::new("pong\n", "", 0)
    );
    let none = Outcome::new("", "moonward: no plugins are loaded\n", 0);
    assert_eq!(house.place.moonward(&["plugins"]), none);
    assert_eq!(
        house.place.moonward(&["plugins", "--json"]),
        Outcome::new("[]\n", "", 0)
    );
    house.plugin("a.lua", Verdict::Failed("boom".into()));
    let one = Outcome::new("a.lua\tfailed\tboom\n", "", 0);
    assert_eq!(house.place.moonward(&["plugins"]), one);
}

#[test]
fn stop_and_reload_reach_the_service() {
    let mut house = House::open();
    assert_eq!(house.place.moonward(&["stop"]), Outcome::new("", "", 0));
    assert!(matches!(
        house.commands.blocking_recv(),
        Some(AppCommand::Stop(0))
    ));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_moonward"));
    for (result, expected) in [
        (Reloaded::Taken(vec![]), Outcome::new("", "", 0)),
        (
            Reloaded::Taken(vec!["store.ttl".into(), "probe.tcp".into()]),
            Outcome::new(
                "store.ttl takes effect after a restart\nprobe.tcp takes effect after a restart\n",
                "",
                0,
            ),
        ),
        (
            Reloaded::Bad("a.toml:3:1: no such key\na.toml:4:1: no such key".into()),
            Outcome::new(
                "",
                "moonward: the new configuration has mistakes, the old one holds:\n\
                 a.toml:3:1: no such key\na.toml:4:1: no such key\n",
                78,
            ),
        ),
    ] {
        let mut command = house.place.command(program);
        let client = std::thread::spawn(move || outcome(command.arg("reload")));
        let Some(AppCommand::Reload(reply)) = house.commands.blocking_recv() else {
            panic!("not a reload");
        };
        reply.send(result).unwrap();
        assert_eq!(client.join().unwrap(), expected);
    }
}

#[test]
fn what_is_mistyped_is_said_with_the_nearest_word() {
    let place = Place::new();
    for (words, hint) in [
        (
            &["stauts"][..],
            "there is no verb `stauts`; did you mean `status`?",
        ),
        (
            &["--bogus"],
            "there is no verb `--bogus`; see `moonward help`",
        ),
        (
            &["get", "--jsno", "x"],
            "`get` has no option --jsno; did you mean --json?",
        ),
        (&["get", "-x", "y"], "`get` has no option -x; see"),
        (&["get"], "a key is missing; see `moonward get --help`"),
        (&["metrics", "a", "b"], "there are too many words"),
        (
            &["ping", "--timeout", "soon"],
            "--timeout wants seconds, 0.001 to 3600, not soon",
        ),
        (
            &["ping", "--timeout"],
            "missing argument for option '--timeout'",
        ),
        (&["get", "--json=1", "x"], "unexpected argument"),
        (
            &["run", "--confg", "x"],
            "`run` has no option --confg; did you mean --config?",
        ),
    ] {
        let shown = place.moonward(words);
        assert_eq!(
            (shown.out.as_str(), shown.status),
            ("", Some(64)),
            "{words:?}"
        );
        assert!(
            shown.err.starts_with(&format!("moonward: {hint}")),
            "{words:?}: {shown:?}"
        );
    }
    assert_eq!(place.moonward(&[]).status, Some(64));
}

#[test]
fn every_verb_has_help_whichever_way_it_is_asked_for() {
    let place = Place::new();
    let overview = place.moonward(&["help"]);
    assert_eq!((overview.err.as_str(), overview.status), ("", Some(0)));
    assert_eq!(place.moonward(&["--help"]), overview);
    for verb in [
        "run", "get", "metrics", "plugins", "ping", "stop", "reload", "status", "check", "doctor",
    ] {
        let shown = place.moonward(&[verb, "--help"]);
        assert!(
            shown.out.starts_with(&format!("Usage: moonward {verb}")),
            "{shown:?}"
        );
        assert_eq!((shown.err.as_str(), shown.status), ("", Some(0)));
        assert_eq!(place.moonward(&["help", verb]), shown);
        assert_eq!(place.moonward(&[verb, "-h"]), shown);
    }
    let version = format!("moonward {}\n", env!("CARGO_PKG_VERSION"));
    for words in [["version"], ["--version"], ["-V"]] {
        assert_eq!(place.moonward(&words), Outcome::new(&version, "", 0));
    }
}

#[test]
fn a_reply_that_breaks_off_is_not_taken_for_whole() {
    let place = Place::new();
    let parrot = parrot(
        &place.path("control.sock"),
        &["ok\nhalf a li", "pong", "", "error busy x\n"],
    );
    for (status, message) in [
        (76, "the reply is not whole"),
        (76, "the reply makes no sense"),
        (76, "the service closed the connection without a reply"),
        (75, "x"),
    ] {
        let shown = place.moonward(&["metrics"]);
        assert_eq!(
            (shown.out.as_str(), shown.status),
            ("", Some(status)),
            "{shown:?}"
        );
        assert!(
            shown.err.starts_with(&format!("moonward: {message}")),
            "{shown:?}"
        );
    }
    parrot.join().unwrap();
}

#[test]
fn a_service_that_does_not_answer_is_given_up() {
    let place = Place::new();
    let listener = std::os::unix::net::UnixListener::bind(place.path("control.sock")).unwrap();
    let shown = place.moonward(&["get", "--timeout", "0.05", "x"]);
    assert_eq!((shown.out.as_str(), shown.status), ("", Some(75)));
    assert!(shown.err.contains("did not answer in time"), "{shown:?}");
    drop(listener);
}

#[test]
fn check_lists_every_mistake_with_its_place() {
    let place = Place::new();
    let file = place.path("moonward.toml");
    std::fs::write(&file, "[store]\nmax_seres = 5\nttl = \"soon\"\n").unwrap();
    let path = file.display().to_string();
    let shown = place.moonward(&["check", "--config", &path]);
    assert_eq!((shown.out.as_str(), shown.status), ("", Some(78)));
    for start in [format!("{path}:2:1:"), format!("{path}:3:")] {
        assert!(
            shown.err.lines().any(|line| line.starts_with(&start)),
            "{shown:?}"
        );
    }
    std::fs::write(&file, "").unwrap();
    let good = Outcome::new("the configuration has no mistakes\n", "", 0);
    assert_eq!(place.moonward(&["check", "--config", &path]), good);
    let absent = place.moonward(&["check", "--config", "/nonexistent.toml"]);
    assert_eq!(absent.status, Some(78));
}

#[test]
fn doctor_works_with_and_without_the_service() {
    for house in [None, Some(House::open())] {
        let alone = Place::new();
        let place = house.as_ref().map_or(&alone, |house| &house.place);
        let shown = place.moonward(&["doctor", "--json"]);
        assert_eq!(shown.err, "");
        let findings: Vec<Value> = serde_json::from_str(&shown.out).unwrap();
        let problem = findings.iter().any(|finding| finding["level"] == "problem");
        assert_eq!(shown.status, Some(i32::from(problem)));
        for finding in &findings {
            let needs_advice = finding["level"] != "ok";
            assert_eq!(finding["advice"].is_string(), needs_advice, "{finding}");
        }
        let level = |subject: &str| {
            let finding = findings
                .iter()
                .find(|finding| finding["subject"] == subject);
            finding.map(|finding| finding["level"].as_str().unwrap())
        };
        let answers = if house.is_some() { "ok" } else { "note" };
        assert_eq!(level("control socket"), Some(answers));
        assert_eq!(level("service").is_some(), house.is_some());
        let lines = place.moonward(&["doctor"]).out;
        assert!(lines.lines().count() >= findings.len());
    }
}

#[test]
fn exec_runs_a_script_and_exits_1_when_it_fails() {
    let place = Place::new();
    let path = place.path("script.lua");
    let file = path.display().to_string();
    std::fs::write(&path, "print('hello')").unwrap();
    let shown = place.moonward(&["exec", &file]);
    assert_eq!(shown, Outcome::new("hello\n", "", 0));
    let failing = "local function f()\n  error('boom')\nend\nprint('hello')\nf()\n";
    std::fs::write(&path, failing).unwrap();
    let shown = place.moonward(&["exec", &file]);
    assert_eq!((shown.out.as_str(), shown.status), ("hello\n", Some(1)));
    let start = format!("moonward: {file}:2: boom\nstack traceback:\n");
    assert!(shown.err.starts_with(&start), "{shown:?}");
    let shown = place.moonward(&["exec", "/nowhere.lua"]);
    assert_eq!((shown.out.as_str(), shown.status), ("", Some(74)));
    assert!(
        shown.err.starts_with("moonward: open /nowhere.lua: "),
        "{shown:?}"
    );
    for words in [&["exec"][..], &["exec", &file, "more"]] {
        assert_eq!(place.moonward(words).status, Some(64), "{words:?}");
    }
    assert!(
        place
            .moonward(&["help", "exec"])
            .out
            .starts_with("Usage: moonward exec")
    );
}

#[test]
fn exec_serves_prometheus_on_loopback_alone() {
    let place = Place::new();
    let path = place.path("script.lua");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let script = format!(
        "local door, message = prometheus.listen('0.0.0.0:{port}')
         assert(door == nil and message:find('only the service can guard', 1, true), message)
         assert(prometheus.listen(':{port}'))
         metrics.set('own', 7)
         print(http.get('http://127.0.0.1:{port}/metrics').body:match('\\n(own 7)\\n'))"
    );
    std::fs::write(&path, script).unwrap();
    let shown = place.moonward(&["exec", &path.display().to_string()]);
    assert_eq!(shown, Outcome::new("own 7\n", "", 0));
}
