//! ZaLua's command line and socket, line by line of its compatibility checklist.

mod house;

use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use house::{House, Outcome, Place, outcome, parrot, resident_bytes, send, wait_until};
use moonward::model::{Clock, Unit};
use moonward::serve::control::AppCommand;
use moonward::serve::zalua::{codec, daemon};
use moonward::telemetry::Verdict;

const USAGE_START: &str = " commands:\n-v, -version, --version\n\tGet version\n";

fn usage(outcome: &Outcome) -> bool {
    outcome.out.is_empty() && outcome.err.contains(USAGE_START) && outcome.status == Some(1)
}

#[test]
fn zalua_01_the_socket_answers_ping_without_a_newline() {
    let nothing_set = daemon::Paths::read(|_| None);
    assert_eq!(nothing_set.socket.to_str(), Some("/tmp/zalua-mon.sock"));
    assert_eq!(codec::SOCKET, "/tmp/zalua-mon.sock");
    assert_eq!(House::open().send(b"ping"), "pong");
}

#[test]
fn zalua_02_no_argument_prints_pong() {
    let house = House::open();
    assert_eq!(house.place.zalua(&[]), Outcome::new("pong\n", "", 0));
}

#[test]
fn zalua_03_all_words_for_ping_are_one() {
    let house = House::open();
    for word in ["-ping", "--ping", "ping"] {
        assert_eq!(
            house.place.zalua(&[word]),
            Outcome::new("pong\n", "", 0),
            "{word}"
        );
    }
}

#[test]
fn zalua_04_the_version_goes_to_stdout_with_exit_1() {
    let place = Place::new();
    let own = place.path("zalua").display().to_string();
    let expected = format!("{own} version: {}\n", env!("CARGO_PKG_VERSION"));
    for word in ["-v", "--version", "-version"] {
        assert_eq!(
            place.zalua(&[word]),
            Outcome::new(&expected, "", 1),
            "{word}"
        );
    }
    assert!(!place.path("zalua.sock").exists());
}

#[test]
fn zalua_05_the_usage_goes_to_stderr_with_exit_1() {
    let place = Place::new();
    for word in ["-h", "-help", "--help"] {
        let shown = place.zalua(&[word]);
        assert!(usage(&shown), "{shown:?}");
        assert!(
            shown
                .err
                .ends_with("-ping, --ping, ping\n\tPing pong game\n")
        );
        assert_eq!(shown.err.lines().count(), 15);
    }
    assert!(!place.path("zalua.sock").exists());
}

#[test]
fn zalua_06_an_unknown_word_exits_8() {
    let house = House::open();
    for words in [&["bogus"][..], &["PING"], &["-v", "x"], &["-e"]] {
        let expected = Outcome::new("", "unknown command\n", 8);
        assert_eq!(house.place.zalua(words), expected, "{words:?}");
    }
}

#[test]
fn zalua_07_every_word_for_metrics_lists_them() {
    let house = House::open();
    house.put(|batch| batch.text("a", &[], "x"));
    for word in ["-m", "-metrics", "--metrics", "--list-metrics", "metrics"] {
        let listed = house.place.zalua(&[word]);
        assert!(listed.out.starts_with("a\t\t\tx\t\t"), "{word}: {listed:?}");
        assert_eq!((listed.err.as_str(), listed.status), ("", Some(0)));
        let wrong = house.place.zalua(&[word, "x"]);
        assert!(usage(&wrong), "{word}: {wrong:?}");
    }
}

#[test]
fn zalua_08_every_word_for_plugins_lists_them() {
    let house = House::open();
    house.plugin("/a.lua", Verdict::Active);
    for word in ["-p", "-plugins", "--plugins", "--list-plugins", "plugins"] {
        let expected = Outcome::new("/a.lua\t\ttrue\t\t<no error>\n", "", 0);
        assert_eq!(house.place.zalua(&[word]), expected, "{word}");
        let wrong = house.place.zalua(&[word, "x"]);
        assert!(usage(&wrong), "{word}: {wrong:?}");
    }
}

#[test]
fn zalua_09_get_without_a_key_prints_the_usage() {
    let house = House::open();
    for word in ["-g", "-get", "--get", "--get-metric", "get"] {
        let wrong = house.place.zalua(&[word]);
        assert!(usage(&wrong), "{word}: {wrong:?}");
    }
}

#[test]
fn zalua_10_an_unknown_key_exits_11() {
    let house = House::open();
    assert_eq!(
        house.place.zalua(&["get", "no such"]),
        Outcome::new("", "zalua: unknown metric 'no such'\n", 11)
    );
}

#[test]
fn zalua_11_a_known_key_prints_its_value() {
    let house = House::furnished();
    for word in ["-g", "-get", "--get", "--get-metric", "get"] {
        assert_eq!(
            house.place.zalua(&[word, "load"]),
            Outcome::new("0.25\n", "", 0),
            "{word}"
        );
    }
    // Further words were ignored, and are.
    assert_eq!(
        house.place.zalua(&["get", "words", "x"]),
        Outcome::new("two words\n", "", 0)
    );
}

#[test]
fn zalua_12_tags_in_the_key_select_exactly_their_item() {
    let house = House::open();
    house.put(|batch| {
        batch.text("key", &[("a", "b"), ("c", "d")], "both");
        batch.text("key", &[("a", "b")], "one");
        batch.text("key", &[], "none");
    });
    for (key, expected) in [
        ("key a=b c=d", "both\n"),
        ("key c=d a=b", "both\n"),
        ("key a=b", "one\n"),
        ("key", "none\n"),
    ] {
        assert_eq!(
            house.place.zalua(&["get", key]),
            Outcome::new(expected, "", 0),
            "{key}"
        );
    }
    assert_eq!(house.place.zalua(&["get", "key c=d"]).status, Some(11));
}

#[test]
fn zalua_13_a_key_without_tags_matches_no_tagged_item() {
    let house = House::furnished();
    assert_eq!(house.place.zalua(&["get", "tagged"]).status, Some(11));
    assert_eq!(house.place.zalua(&["get", "tagged a=b"]).out, "1.00\n");
}

#[test]
fn zalua_14_an_empty_list_prints_nothing() {
    let house = House::open();
    assert_eq!(house.send(b"list-of-metrics"), "zalua-empty-message");
    assert_eq!(house.send(b"list-of-plugins"), "zalua-empty-message");
    assert_eq!(house.place.zalua(&["metrics"]), Outcome::new("", "", 0));
    assert_eq!(house.place.zalua(&["plugins"]), Outcome::new("", "", 0));
}

#[test]
fn zalua_15_get_without_a_space_is_a_command_error() {
    assert_eq!(House::open().send(b"get-metric-value"), "command-error");
    let place = Place::new();
    let parrot = parrot(&place.path("zalua.sock"), &["pong", "command-error"]);
    assert_eq!(
        place.zalua(&["metrics"]),
        Outcome::new("", "zalua: command error\n", 13)
    );
    parrot.join().unwrap();
}

#[test]
fn zalua_16_an_unknown_request_is_an_unknown_command() {
    let house = House::open();
    for request in [&b"bogus"[..], b"ping\n", b"\xff\xfe"] {
        assert_eq!(house.send(request), "unknown-command", "{request:?}");
    }
    let place = Place::new();
    let parrot = parrot(&place.path("zalua.sock"), &["pong", "unknown-command"]);
    assert_eq!(
        place.zalua(&["metrics"]),
        Outcome::new("", "zalua: unknown command\n", 12)
    );
    parrot.join().unwrap();
}

#[test]
fn zalua_17_the_server_id_stays() {
    let house = House::open();
    let identity = house.send(b"server-id");
    let digits = identity.strip_prefix("server-id-").unwrap();
    assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(house.send(b"server-id"), identity);
}

#[test]
fn zalua_18_a_kill_ends_the_daemon_with_100() {
    let place = Place::new();
    let mut daemon = place.agent().args(["run", "--zalua"]).spawn().unwrap();
    let socket = place.path("zalua.sock");
    wait_until("the daemon answers", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    assert_eq!(
        place.zalua(&["kill"]),
        Outcome::new("", "send message error: EOF\n", 10)
    );
    assert_eq!(daemon.wait().unwrap().code(), Some(100));
}

#[test]
fn a_kill_is_passed_on_and_not_carried_out_by_the_door() {
    let mut house = House::open();
    assert_eq!(house.send(b"command-kill"), "");
    assert!(matches!(
        house.commands.blocking_recv(),
        Some(AppCommand::Stop(100))
    ));
    assert_eq!(house.send(b"ping"), "pong");
}

#[test]
fn zalua_19_metrics_are_sorted_lines_of_four_fields() {
    let house = House::open();
    let before = house.store.clock().wall().seconds();
    house.put(|batch| {
        batch.gauge("b", &[], Unit::ONE, 0.005);
        batch.gauge("a", &[("y", "2"), ("x", "1")], Unit::ONE, 1_234_567.891);
        batch.text("a", &[], "text");
    });
    let listed = house.place.zalua(&["metrics"]);
    assert_eq!((listed.err.as_str(), listed.status), ("", Some(0)));
    let mut lines = listed.out.lines();
    for start in [
        "a\t\t\ttext\t\t",
        "a\tx=1 y=2\t\t1234567.89\t\t",
        "b\t\t\t0.005000\t\t",
    ] {
        let time = lines.next().unwrap().strip_prefix(start).unwrap();
        let time: u64 = time.parse().unwrap();
        assert!(time + 1 >= before && time <= house.store.clock().wall().seconds());
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn zalua_20_plugins_are_sorted_lines_of_three_fields() {
    let house = House::open();
    house.plugin(
        "/etc/zalua/plugins/b.lua",
        Verdict::Failed("line 3: boom\n".into()),
    );
    house.plugin("/etc/zalua/plugins/a.lua", Verdict::Active);
    let expected = "/etc/zalua/plugins/a.lua\t\ttrue\t\t<no error>\n\
                    /etc/zalua/plugins/b.lua\t\tfalse\t\tline 3: boom\n";
    assert_eq!(
        house.place.zalua(&["plugins"]),
        Outcome::new(expected, "", 0)
    );
}

#[test]
fn zalua_21_a_dead_socket_makes_the_client_start_the_daemon() {
    let place = Place::new();
    let socket = place.path("zalua.sock");
    let clock = moonward::model::Clock::default();
    let before = clock.now();
    let first = place.zalua(&[]);
    let took = clock.now().since(before);
    let notices = format!(
        "Socket {} is not alive, start daemon\nDaemon starting, continue as client\n",
        socket.display()
    );
    assert_eq!(first, Outcome::new("pong\n", &notices, 0));
    // Far below 1.2 s on a machine that does nothing else.
    assert!(took.as_secs_f64() < 2.5, "{took:?}");
    assert_eq!(place.zalua(&[]), Outcome::new("pong\n", "", 0));
    assert_eq!(place.zalua(&["kill"]).status, Some(10));
    wait_until("the daemon has ended", || !socket.exists());
    // A daemon that was killed without mercy leaves a dead socket; the next client replaces it.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert_eq!(place.zalua(&["ping"]), Outcome::new("pong\n", &notices, 0));
    assert_eq!(place.zalua(&["kill"]).status, Some(10));
}

#[test]
fn zalua_22_removing_the_socket_ends_the_daemon() {
    let place = Place::new();
    let socket = place.path("zalua.sock");
    let mut daemon = place.agent().args(["run", "--zalua"]).spawn().unwrap();
    wait_until("the daemon answers", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    assert_eq!(send(&socket, b"ping"), "pong");
    std::fs::remove_file(&socket).unwrap();
    let clock = moonward::model::Clock::default();
    let removed = clock.now();
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    let took = clock.now().since(removed);
    assert!(took.as_secs() < 5, "{took:?}");
}

#[test]
fn zalua_23_paths_come_from_the_environment() {
    let place = Place::new();
    let log = place.path("elsewhere.log");
    let init = place.path("elsewhere.lua");
    std::fs::write(
        &init,
        "log.info(debug.getinfo(1).source) while true do time.sleep(60) end",
    )
    .unwrap();
    let mut daemon = place
        .agent()
        .args(["run", "--zalua"])
        .env("LOG_PATH", &log)
        .env("INIT_FILE", &init)
        .spawn()
        .unwrap();
    let socket = place.path("zalua.sock");
    wait_until("the daemon answers", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    wait_until("the first script runs", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains(&init.display().to_string()))
    });
    assert_eq!(place.zalua(&["kill"]).status, Some(10));
    assert_eq!(daemon.wait().unwrap().code(), Some(100));
    let written = std::fs::read_to_string(&log).unwrap();
    assert!(written.contains("[INFO] Start server"), "{written}");
    assert!(written.contains(&init.display().to_string()), "{written}");
    let empty = daemon::Paths::read(|_| Some("".into()));
    assert_eq!(empty, daemon::Paths::read(|_| None));
    assert_eq!(empty.init.to_str(), Some("/etc/zalua/init.lua"));
    assert_eq!(empty.log.to_str(), Some("/var/log/zabbix/zalua.log"));
}

#[test]
fn zalua_62_the_daemon_ends_with_its_first_script() {
    for (source, status) in [
        ("metrics.set('x', 1)", 0),
        ("\nerror('boom')", 20),
        ("local x = = 1", 20),
    ] {
        let place = Place::new();
        let init = place.path("init.lua");
        std::fs::write(&init, source).unwrap();
        let mut daemon = place.agent();
        daemon.args(["run", "--zalua"]).env("INIT_FILE", &init);
        let code = daemon.spawn().unwrap().wait().unwrap().code();
        let log = std::fs::read_to_string(place.path("zalua.log")).unwrap();
        assert_eq!(code, Some(status), "{source}: {log}");
        let told = log.contains(&format!("[FATAL] Settings file: {}:", init.display()));
        assert_eq!(told, status == 20, "{log}");
    }
}

#[test]
fn zalua_62_the_first_script_of_a_package_runs_as_it_is() {
    let place = Place::new();
    let init = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/zalua/init.lua");
    std::fs::create_dir(place.path("plugins")).unwrap();
    std::fs::copy(init, place.path("init.lua")).unwrap();
    let plugin = place.path("plugins/x_plugin.lua");
    std::fs::write(
        &plugin,
        "metrics.set('x', 1) while true do time.sleep(60) end",
    )
    .unwrap();
    let mut daemon = place.agent();
    daemon
        .args(["run", "--zalua"])
        .env("INIT_FILE", place.path("init.lua"));
    let mut daemon = daemon.spawn().unwrap();
    let socket = place.path("zalua.sock");
    wait_until("the daemon answers", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    wait_until("its plugin has run", || {
        place.zalua(&["get", "x"]).out == "1.00\n"
    });
    let line = format!("{}\t\ttrue\t\t<no error>", plugin.display());
    wait_until("it is listed", || {
        place.zalua(&["plugins"]).out.contains(&line)
    });
    assert_eq!(place.zalua(&["get", "zalua.error.count"]).out, "0.000000\n");
    assert_eq!(place.zalua(&["kill"]).status, Some(10));
    assert_eq!(daemon.wait().unwrap().code(), Some(100));
}

#[test]
fn zalua_24_a_file_runs_without_a_daemon() {
    let place = Place::new();
    let script = |name: &str, text: &str| {
        let path = place.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = script(
        "good.lua",
        "#!/usr/bin/zalua -e\nprint('sum', 1 + 2)\nio.stderr:write('also here\\n')\n\
         print(debug.getinfo(1).source)\n",
    );
    for word in ["-e", "--execute-file"] {
        let shown = place.zalua(&[word, &good, "ignored"]);
        let mut lines: Vec<&str> = shown.out.lines().collect();
        lines.sort_unstable();
        let mut expected = [good.as_str(), "also here", "sum\t3"];
        expected.sort_unstable();
        assert_eq!(lines, expected);
        assert_eq!((shown.err.as_str(), shown.status), ("", Some(0)));
    }
    let absent = place.path("absent.lua").display().to_string();
    let raising = script("raising.lua", "print('before')\n\nerror('boom')\n");
    let broken = script("broken.lua", "print('never'\n");
    let binary = script("binary.lua", "\x1bLJ");
    for (file, printed, error) in [
        (&raising, "before\n", format!("{raising}:3: boom")),
        (
            &broken,
            "",
            format!("{broken}:2: ')' expected (to close '(' at line 1) near '<eof>'"),
        ),
        (
            &binary,
            "",
            format!("{binary}: attempt to load a binary chunk (mode is 't')"),
        ),
        (
            &absent,
            "",
            format!("open {absent}: No such file or directory (os error 2)"),
        ),
    ] {
        let shown = place.zalua(&["-e", file]);
        assert_eq!((shown.err.as_str(), shown.status), ("", Some(0)), "{file}");
        // What was printed comes before the error, `YYYY/MM/DD HH:MM:SS` before its text.
        let line = shown.out.strip_prefix(printed).unwrap();
        let (time, text) = line.split_at_checked(19).unwrap();
        let shape: String = time.replace(|digit: char| digit.is_ascii_digit(), "9");
        assert_eq!(shape, "9999/99/99 99:99:99");
        assert_eq!(text, format!(" [FATAL] execute {file}: {error}\n"));
    }
    for made in ["zalua.sock", "zalua.log", "control.sock", "run", "state"] {
        assert!(!place.path(made).exists(), "{made}");
    }
}

#[test]
fn a_log_that_cannot_be_opened_exits_3() {
    let place = Place::new();
    let ended = outcome(
        place
            .agent()
            .args(["run", "--zalua"])
            .env("LOG_PATH", place.path("no/log")),
    );
    assert_eq!(ended.status, Some(3));
    assert!(ended.err.starts_with("Can't open log file: "), "{ended:?}");
}

#[test]
fn a_live_socket_of_another_daemon_is_left_alone() {
    let house = House::open();
    let ended = outcome(house.place.agent().args(["run", "--zalua"]));
    assert_eq!(ended.status, Some(5));
    assert_eq!(house.send(b"ping"), "pong");
}

/// Held by tests that take or measure much memory: they share a process.
static MEMORY: Mutex<()> = Mutex::new(());

#[test]
fn many_slow_readers_hold_one_list() {
    const LIST: usize = 8 << 20;
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let (clock, _hand) = Clock::manual();
    let house = House::with_clock(clock);
    house.grow(LIST);
    let list = house.send(b"list-of-metrics");
    assert!(list.len() >= LIST);
    let before = resident_bytes();
    let slow: Vec<UnixStream> = (0..40)
        .map(|_| house.ask_slowly(b"list-of-metrics"))
        .collect();
    let more = resident_bytes().saturating_sub(before);
    // Forty of them would be 320 MiB.
    assert!(more < 12 * LIST, "{more} bytes for {} readers", slow.len());
    assert_eq!(house.send(b"list-of-metrics"), list);
}

#[test]
fn where_too_much_is_unread_the_next_client_is_closed_until_it_is_read() {
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let (clock, hand) = Clock::manual();
    let house = House::with_clock(clock);
    house.grow(10 << 20);
    let slow = house.ask_slowly(b"list-of-metrics");
    // Two seconds later the values are others, and so is the list.
    hand.advance(Duration::from_secs(2));
    assert_eq!(house.send(b"list-of-metrics"), "");
    let listed = house.place.zalua(&["metrics"]);
    assert_eq!(listed, Outcome::new("", "send message error: EOF\n", 10));
    let status = house.board.statuses().into_iter();
    let errors: u64 = status.map(|part| part.errors).sum();
    assert_eq!(errors, 2, "both are counted");
    assert_eq!(house.send(b"ping"), "pong", "short replies have room");
    drop(slow);
    wait_until("there is room", || {
        house.send(b"list-of-metrics").len() > 10 << 20
    });
}

#[test]
fn a_service_without_this_socket_is_asked_through_its_own_and_none_is_started() {
    let mut house = House::furnished();
    house.plugin("/a.lua", Verdict::Active);
    let words: [&[&str]; 9] = [
        &[],
        &["get", "load"],
        &["get", "words"],
        &["get", "tagged a=b"],
        &["get", "absent"],
        &["metrics"],
        &["plugins"],
        &["get"],
        &["bogus"],
    ];
    let ask = |house: &House| words.map(|words| house.place.zalua(words));
    let by_socket = ask(&house);
    std::fs::remove_file(house.place.path("zalua.sock")).unwrap();
    assert_eq!(ask(&house), by_socket);
    assert!(!house.place.path("zalua.log").exists(), "one was started");
    // Nothing listens any more at a socket that is left.
    drop(std::os::unix::net::UnixListener::bind(house.place.path("zalua.sock")).unwrap());
    assert_eq!(house.place.zalua(&["get", "load"]).out, "0.25\n");
    let killed = Outcome::new("", "send message error: EOF\n", 10);
    assert_eq!(house.place.zalua(&["kill"]), killed);
    assert!(matches!(
        house.commands.blocking_recv(),
        Some(AppCommand::Stop(100))
    ));
}

#[test]
fn a_service_that_turns_the_client_away_is_one_all_the_same() {
    let place = Place::new();
    let busy = parrot(&place.path("control.sock"), &["error busy try again\n"]);
    assert_eq!(
        place.zalua(&["get", "load"]),
        Outcome::new("", "zalua: try again\n", 7)
    );
    busy.join().unwrap();
    assert!(!place.path("zalua.log").exists(), "another was started");
}
