//! Tests of the whole way from files to the configuration.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::difference::effective;
use super::*;

fn environment() -> Environment {
    Environment {
        hostname: "host.example.org".into(),
        ..Environment::default()
    }
}

pub(super) fn parse(texts: &[&str]) -> Result<Config, Problems> {
    let sources: Vec<Source> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| Source {
            path: PathBuf::from(format!("{index}.toml")),
            text: text.as_bytes().to_vec(),
        })
        .collect();
    parse::parse(&sources, &environment(), Problems::default())
}

pub(super) fn problems(texts: &[&str]) -> Vec<String> {
    let problems = parse(texts).unwrap_err();
    problems.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn nothing_at_all_is_the_default() {
    assert_eq!(parse(&[]).unwrap(), Config::defaults(&environment()));
    let empty = parse(&[""]).unwrap();
    assert_eq!(empty.files, [PathBuf::from("0.toml")]);
    assert_eq!(empty.store, Config::defaults(&environment()).store);
}

#[test]
fn later_files_win_key_by_key() {
    let config = parse(&[
        "[collect]\ninterval = \"30s\"\n[collect.disk]\nenabled = false\ninterval = \"1m\"",
        "[collect.disk]\ninterval = \"5s\"\n[agent]\nhostname = \"db1\"",
    ])
    .unwrap();
    assert_eq!(config.collect.interval, Duration::from_secs(30));
    assert_eq!(
        config.collect.collector("disk").interval,
        Duration::from_secs(5)
    );
    assert_eq!(
        config.collect.collector("cpu").interval,
        Duration::from_secs(30)
    );
    assert_eq!(
        config.collect.collector("of a plugin").interval,
        Duration::from_secs(30)
    );
    assert!(!config.collect.collector("disk").enabled);
    assert_eq!(config.zabbix.hostname, "db1");
}

#[test]
fn every_mistake_is_reported_at_once() {
    let first = r#"[agent]
hostnam = "x"
log_level = "loud"

[colect]
interval = "10s"

[collect]
interval = "10 parsecs"

[collect.disk]
enabled = "yes"

[store]
max_series = 5
ttl = 300
text_max = "64KB"

[zabbix]
server = ["127.0.0.1", "my zabbix"]
listen = "10050"
interval = "5s"
"#;
    let second = "zalua = 1\n[control]\nsocket = \"control.sock\"\n[[probe]]\n";
    let lines = problems(&[first, second]);
    let expected = [
        "0.toml:2:1: unknown key \"hostnam\" in [agent]; did you mean \"hostname\"?",
        "0.toml:3:13: agent.log_level: found \"loud\", expected one of \"error\", \"warn\", \
         \"info\", \"debug\", \"trace\"",
        "0.toml:5:2: unknown key \"colect\" in the file; did you mean \"collect\"?",
        "0.toml:9:12: collect.interval: found \"10 parsecs\", expected a duration from \"100ms\" \
         to \"1d\", such as \"10s\" or \"1h30m\": \"parsecs\" is no unit of time: w, d, h, m, s, \
         ms, us",
        "0.toml:12:11: collect.disk.enabled: found \"yes\", expected true or false",
        "0.toml:15:14: store.max_series: found 5, expected a whole number from 100 to 10000000",
        "0.toml:16:7: store.ttl: found 300, expected a duration from \"1s\" to \"30d\", such as \
         \"10s\" or \"1h30m\": a number is not quoted text",
        "0.toml:17:12: store.text_max: found \"64KB\", expected a size from \"64B\" to \"1MiB\", \
         such as \"64KiB\": \"KB\" is no unit of size: B, KiB, MiB, GiB",
        "0.toml:20:24: zabbix.server: found \"my zabbix\" in the list, expected a list of at \
         most 1000 addresses, networks and host names, such as [\"127.0.0.1\", \"10.0.0.0/8\", \
         \"zabbix.example.com\"]: \"my zabbix\" is neither an IP address, a network such as 10.0.0.0/8, nor a \
         DNS name",
        "0.toml:21:10: zabbix.listen: found \"10050\", expected an address with a port, such as \
         \"127.0.0.1:10050\" or \"[::1]:10050\", \"auto\" or \"off\"",
        "0.toml:22:1: unknown key \"interval\" in [zabbix]; it belongs to [collect]; known are \
         listen, server, hostname, metadata",
        "1.toml:1:9: zalua: found 1, expected a table, written [zalua]",
        "1.toml:3:10: control.socket: found \"control.sock\", expected an absolute path",
        "1.toml:4:1: probe: found a list, expected a table, written [probe]",
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
}

#[test]
fn syntax_errors_come_with_the_mistakes_of_other_lines() {
    let lines = problems(&[
        "[agent]\nhostname = \n[stor]\n[agent\n",
        "[zabbix]\nservr = []\n",
    ]);
    assert_eq!(lines[0], "0.toml:2:12: syntax: a value is missing");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("did you mean \"store\"?"))
    );
    assert!(lines.iter().any(|line| line.starts_with("0.toml:4:")));
    assert!(
        lines
            .iter()
            .any(|line| line.contains("did you mean \"server\"?"))
    );
}

#[test]
fn a_key_given_twice_in_one_file_is_a_mistake() {
    let lines = problems(&["[agent]\nhostname = \"a\"\nhostname = \"b\"\n"]);
    assert_eq!(lines, ["0.toml:3:1: syntax: duplicate key"]);
}

#[test]
fn what_is_no_text_is_placed_too() {
    let source = Source {
        path: "x.toml".into(),
        text: b"[agent]\nhostname = \"\xff\"\n".to_vec(),
    };
    let problems = parse::parse(&[source], &environment(), Problems::default()).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "x.toml:2:13: found a byte that is not UTF-8, expected text in UTF-8"
    );
}

#[test]
fn keys_are_checked_against_each_other() {
    let lines = problems(&["[store]\nmax_series = 1000\nmax_series_per_source = 2000"]);
    assert_eq!(
        lines,
        [
            "0.toml:3:25: store.max_series_per_source: found 2000, expected at most \
             store.max_series, which is 1000"
        ]
    );
    // Somebody who sets one need not know of the other.
    let config = parse(&["[store]\nmax_series = 1000"]).unwrap();
    assert_eq!(config.store.max_series_per_source, 1000);
    assert_eq!(config.store.limits().series_per_source, 1000);
}

#[test]
fn optional_doors_go_on_and_off() {
    let on = "[zabbix]\nlisten = \"[::]:10050\"\n[zalua]\nsocket = \"/tmp/zalua-mon.sock\"";
    let config = parse(&[on]).unwrap();
    let at = |address: &str| DoorAddress::At(address.parse().unwrap());
    assert_eq!(config.zabbix.listen, at("[::]:10050"));
    assert_eq!(
        config.zalua.socket.as_deref(),
        Some(Path::new("/tmp/zalua-mon.sock"))
    );
    let off = "[zabbix]\nlisten = \"off\"\n[zalua]\nsocket = \"off\"";
    let config = parse(&[on, off]).unwrap();
    assert_eq!(config.zabbix.listen, DoorAddress::Off);
    assert_eq!(config.zalua.socket, None);
    // What is written is kept apart from what is not: an agent started by hand has doors by default.
    let auto = "[zabbix]\nlisten = \"auto\"";
    let config = parse(&[off, auto]).unwrap();
    assert_eq!(config.zabbix.listen, DoorAddress::Auto);
    assert_eq!(config.http.listen, DoorAddress::Auto);
}

#[test]
fn what_guards_the_http_door_needs_no_restart() {
    let file = "[http]\nlisten = \"[::1]:61777\"\ntoken_file = \"/etc/moonward/token\"\n\
                certificate = \"/etc/moonward/http.pem\"\nkey = \"http.key\"";
    assert_eq!(
        problems(&[file]),
        ["0.toml:5:7: http.key: found \"http.key\", expected an absolute path or \"off\""]
    );
    let config = parse(&[&file.replace("\"http.key\"", "\"/etc/moonward/http.key\"")]).unwrap();
    let address = "[::1]:61777".parse().unwrap();
    assert_eq!(config.http.listen, DoorAddress::At(address));
    assert_eq!(
        config.http.token_file.as_deref(),
        Some(Path::new("/etc/moonward/token"))
    );
    let changes = difference(&parse(&[]).unwrap(), &config);
    assert_eq!(changes.changes.len(), 4);
    assert_eq!(changes.needs_restart(), ["http.listen"]);
}

#[test]
fn the_difference_names_keys_and_restarts() {
    let old = parse(&[]).unwrap();
    let new = parse(&["[collect]\ninterval = \"5s\"\n[zabbix]\nlisten = \"127.0.0.1:1\""]).unwrap();
    let difference = difference(&old, &new);
    assert!(difference.touches("collect") && difference.touches("collect.cpu"));
    assert!(!difference.touches("store") && !difference.touches("coll"));
    assert_eq!(difference.needs_restart(), ["zabbix.listen"]);
    assert_eq!(difference.changes[0].old, "\"10s\"");
    assert_eq!(difference.changes[0].new, "\"5s\"");
    assert!(super::difference(&old, &old).is_empty());
}

#[test]
fn what_is_in_force_prints_as_a_file_that_reads_the_same() {
    let config = parse(&["[unit]"]);
    assert!(config.is_err());
    let config = parse(&["[collect.unit]\npatterns = [\"a\\\\b\", \"c\\\"\"]"]).unwrap();
    let again = parse(&[&config.to_toml()]).unwrap();
    assert!(difference(&config, &again).is_empty());
    assert_eq!(config, again);
}

/// The shipped file has every key as `#key = default`, and no other.
#[test]
fn the_shipped_file_has_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/moonward.toml");
    let sample = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        parse(&[&sample]).unwrap().to_toml(),
        parse(&[]).unwrap().to_toml(),
        "as shipped it must change nothing"
    );
    let mut section = String::new();
    let mut found = Vec::new();
    let mut active = String::new();
    for line in sample.lines() {
        let line = match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && !rest.is_empty() => rest,
            Some(_) => continue,
            None => line,
        };
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once(" = ") {
            found.push(format!("{section}.{key} = {value}"));
        } else {
            assert_eq!(line, "", "neither table, key nor comment");
        }
        active.push_str(line);
        active.push('\n');
    }
    let mut expected: Vec<String> = effective(&parse(&[]).unwrap())
        .into_iter()
        .map(|entry| format!("{}.{} = {}", entry.section, entry.key, entry.value))
        .collect();
    found.sort();
    expected.sort();
    // A long list may be broken differently, so values are compared by what they mean.
    let key = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
    let keys = |lines: &[String]| lines.iter().map(key).collect::<Vec<_>>();
    assert_eq!(keys(&found), keys(&expected));
    let switched_on = parse(&[&active]).unwrap();
    assert!(difference(&parse(&[]).unwrap(), &switched_on).is_empty());
}

#[test]
fn files_are_read_in_order_and_all_that_cannot_be_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ConfigPaths {
        main: directory.path().join("moonward.toml"),
        main_required: false,
        fragments: Some(directory.path().join("conf.d")),
    };
    let config = Config::load(&paths, &environment()).unwrap();
    assert_eq!(config, Config::defaults(&environment()));

    let fragments = directory.path().join("conf.d");
    std::fs::create_dir(&fragments).unwrap();
    std::fs::write(&paths.main, "[agent]\nhostname = \"main\"").unwrap();
    std::fs::write(fragments.join("20-b.toml"), "[agent]\nhostname = \"b\"").unwrap();
    std::fs::write(fragments.join("10-a.toml"), "[agent]\nhostname = \"a\"").unwrap();
    std::fs::write(fragments.join("30-c.toml.dpkg-old"), "not read").unwrap();
    std::fs::write(fragments.join(".40-d.toml"), "not read").unwrap();
    let config = Config::load(&paths, &environment()).unwrap();
    assert_eq!(config.agent.hostname, "b");
    let names: Vec<_> = config
        .files
        .iter()
        .filter_map(|file| file.file_name())
        .collect();
    assert_eq!(names, ["moonward.toml", "10-a.toml", "20-b.toml"]);

    std::fs::create_dir(fragments.join("50-directory.toml")).unwrap();
    std::fs::write(fragments.join("60-large.toml"), " ".repeat((1 << 20) + 1)).unwrap();
    std::os::unix::fs::symlink("nowhere", fragments.join("70-dangling.toml")).unwrap();
    let pipe = fragments.join("80-pipe.toml");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    std::fs::write(fragments.join("90-typo.toml"), "[agnt]").unwrap();
    let problems = Config::load(&paths, &environment()).unwrap_err();
    let messages: Vec<&str> = problems
        .list()
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "is not a regular file",
            "is larger than 1MiB, which is not read",
            "cannot be opened: No such file or directory (os error 2)",
            "is not a regular file",
            "unknown key \"agnt\" in the file; did you mean \"agent\"?",
        ]
    );
    let absent = ConfigPaths::file(directory.path().join("absent.toml"));
    assert_eq!(
        Config::load(&absent, &environment()).unwrap_err().count(),
        1
    );
}

#[test]
fn a_file_without_permission_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("moonward.toml");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o0)).unwrap();
    let loaded = Config::load(&ConfigPaths::file(&file), &environment());
    // Root reads it all the same; whoever does not gets told.
    if let Err(problems) = loaded {
        assert!(
            problems
                .to_string()
                .contains("cannot be opened: Permission denied")
        );
    } else {
        assert!(rustix::process::geteuid().is_root());
    }
}

#[test]
fn nonsense_of_a_megabyte_stays_bounded() {
    let unknown: String = (0..20_000).fold(String::new(), |text, index| {
        text + "k" + &index.to_string() + "=1\n"
    });
    let problems = parse(&[&unknown]).unwrap_err();
    assert_eq!(problems.list().len(), Problems::LISTED_MAX);
    assert_eq!(problems.count(), 20_000);
    for nested in [
        format!("{}x = 1", "a.".repeat(400_000)),
        format!("[{}x]", "a.".repeat(400_000)),
        format!("x = {}", "[".repeat(1_000_000)),
        format!("x = {}", "[\n".repeat(400_000)),
        format!("x = {}", "{a=".repeat(300_000)),
        "[a]\n".repeat(200_000),
        "[[a]]\n".repeat(150_000),
        "a.b.c.d = 1\n".repeat(80_000),
        format!("[{}x]\n", "a.".repeat(900)).repeat(500),
    ] {
        assert!(parse(&[&nested]).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let source = Source { path: "x".into(), text: bytes };
        let _read = parse::parse(&[source], &environment(), Problems::default()).is_ok();
    }

    #[test]
    fn no_near_miss_makes_the_reader_panic(
        text in proptest::collection::vec(
            prop_oneof![
                Just("[collect]\n"), Just("interval"), Just(" = "), Just("\"10s\"\n"), Just("\n"),
                Just("[["), Just("]]"), Just("{"), Just("}"), Just("."), Just("é\u{0}"), Just("'"),
                Just("\"\"\""), Just("1979-05-27"), Just("0x"), Just("server"), Just("[zabbix]\n"),
                Just("#"), Just(","), Just("nan"), Just("-1"), Just("collect"), Just("disk"),
            ],
            0..40,
        )
    ) {
        let text = text.concat();
        if let Err(problems) = parse(&[&text]) {
            prop_assert!(!problems.is_empty());
            for problem in problems.list() {
                prop_assert_eq!(problem.to_string().lines().count(), 1);
            }
        }
    }
}
