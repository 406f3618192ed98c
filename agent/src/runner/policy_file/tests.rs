use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nmoonward:x:998:998::/:/bin/false\n";

fn parse(text: &str) -> Result<Policy, Vec<String>> {
    Policy::parse(Path::new("r.toml"), text.as_bytes(), USERS)
        .map_err(|mistakes| mistakes.to_string().lines().map(str::to_owned).collect())
}

fn ask(policy: &Policy, request: &Request) -> bool {
    policy.judge(&request.command).is_ok()
}

#[test]
fn an_empty_file_allows_nothing() {
    let policy = parse("").unwrap();
    assert_eq!(policy.entries(), Some(0));
    assert!(!ask(&policy, &Request::shell("true")));
    assert!(policy.may_ask(998), "the agent's user by default");
}

#[test]
fn entries_are_read_in_all_their_forms() {
    let policy = parse(
        "user = 'root'\n\
         [[allow]]\nshell = \"\"\"uptime\nid\"\"\"\ntimeout = \"30s\"\n\
         [[allow]]\ncommand = [\"/bin/df\", \"-k\"]\n\
         [[allow]]\ncommand = [\"/bin/ls\"]\narguments = \"any\"\n\
         [[allow]]\ncommand = [\"/bin/cat\"]\narguments = [\"/srv/*\"]\n",
    )
    .unwrap();
    assert_eq!(policy.entries(), Some(4));
    assert!(!policy.may_ask(998));
    let shell = policy.judge(&Request::shell("uptime\nid").command);
    assert_eq!(shell, Ok(Duration::from_secs(30)));
    assert!(ask(&policy, &Request::program(["/bin/df", "-k"])));
    assert!(!ask(&policy, &Request::program(["/bin/df", "-k", "/"])));
    assert!(ask(&policy, &Request::program(["/bin/ls", "a", "b"])));
    assert!(ask(&policy, &Request::program(["/bin/cat", "/srv/x"])));
    assert!(!ask(&policy, &Request::program(["/bin/cat", "/etc/x"])));
    assert!(!ask(&policy, &Request::program(["/bin/cat"])));
    assert!(parse("user = 1000").unwrap().may_ask(1000));
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = "\
user = 'nobody-here'
alow = 1
[[allow]]
shell = ''
[[allow]]
command = ['df']
timeout = '1h'
[[allow]]
shell = 'x'
command = ['/x']
[[allow]]
timeout = '1s'
[[allow]]
shell = 'x'
arguments = 'any'
[[allow]]
command = ['/x', 7]
arguments = 'some'
user = 'root'
";
    let mistakes = parse(text).unwrap_err();
    let expected = [
        "r.toml:1:8: user: found \"nobody-here\", expected the name or number of a user: there is \
         none of that name in /etc/passwd",
        "r.toml:2:1: unknown key \"alow\"; known are user and [[allow]]",
        "r.toml:4:9: allow.shell: found \"\", expected a text of 1 to 4095 bytes without NUL",
        "r.toml:6:11: allow.command: found a list, expected a list of 1 to 100 texts that starts \
         with the program's absolute path, such as [\"/usr/bin/ntpstat\"]",
        "r.toml:7:11: allow.timeout: found \"1h\", expected a duration from \"1ms\" to \"5m\", \
         such as \"30s\"",
        "r.toml:8:1: allow: found both, expected one of shell and command",
        "r.toml:11:1: allow: found neither, expected one of shell and command",
        "r.toml:15:1: allow.arguments: belongs to command; a shell text is allowed as a whole or \
         not at all",
        "r.toml:17:18: allow.command: found 7, expected texts of at most 4095 bytes in the list",
        "r.toml:18:13: allow.arguments: found \"some\", expected \"any\" or a list of at most 100 \
         patterns, one for each argument",
        "r.toml:19:1: unknown key \"user\" in [[allow]]; known are shell, command, arguments and \
         timeout",
    ];
    assert_eq!(mistakes, expected);
    for (text, start) in [
        ("allow = 1", "r.toml:1:9: allow: found 1, expected entries"),
        (
            "allow = [1]",
            "r.toml:1:10: allow: found 1, expected a table",
        ),
        ("user = true", "r.toml:1:8: user: found true, expected"),
        ("user = -1", "r.toml:1:8: user: found -1, expected"),
        ("user = \n", "r.toml:1:8: syntax: "),
        ("[[allow]\n", "r.toml:1:"),
    ] {
        let mistakes = parse(text).unwrap_err();
        assert!(mistakes[0].starts_with(start), "{text}: {mistakes:?}");
    }
    let deep = format!("a = {}", "[".repeat(1001));
    assert!(parse(&deep).unwrap_err()[0].contains("brackets on one line"));
    let bytes = Policy::parse(Path::new("r.toml"), b"a\xff", USERS).unwrap_err();
    assert_eq!(bytes.list()[0].position, Some((1, 2)));
    let many = "[[allow]]\nshell = 'x'\n".repeat(ENTRIES_MAX + 1);
    assert!(parse(&many).unwrap_err()[0].contains("at most 1000"));
}

#[test]
fn the_shipped_file_allows_what_the_stock_plugins_need() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/runner.toml");
    let sample = std::fs::read_to_string(path).unwrap();
    let policy = parse(&sample).unwrap();
    assert!(ask(&policy, &Request::shell("ntpstat")));
    assert!(ask(&policy, &Request::program(["/usr/bin/ntpstat"])));
    assert_eq!(policy.entries(), Some(2), "and nothing else");
    // Its examples are right, and show every key.
    let examples: String = sample
        .lines()
        .filter(|line| !line.starts_with("# ") && *line != "#")
        .map(|line| [line.strip_prefix('#').unwrap_or(line), "\n"].concat())
        .collect();
    let policy = parse(&examples).unwrap();
    assert!(policy.entries().unwrap() > 4);
    for key in ["user", "shell", "command", "arguments", "timeout"] {
        let line = format!("\n#{key} = ");
        assert!(sample.contains(&line), "no example of {key}");
    }
}

#[test]
fn a_file_that_others_can_write_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("runner.toml");
    let missing = Policy::load(&path).unwrap_err().to_string();
    assert!(missing.contains("cannot be opened"), "{missing}");
    std::fs::write(&path, "[[allow]]\nshell = 'true'\n").unwrap();
    let mode = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Policy::load(&path)
    };
    assert_eq!(mode(0o640).unwrap().entries(), Some(1));
    for open in [0o660, 0o646] {
        let refused = mode(open).unwrap_err().to_string();
        assert!(refused.contains("written by others"), "{refused}");
    }
    let directory = Policy::load(directory.path()).unwrap_err().to_string();
    assert!(directory.contains("not a regular file"), "{directory}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        text in "(\\[\\[allow\\]\\]\n)?(user|shell|command|arguments|timeout)? ?=? ?\\PC{0,40}",
    ) {
        if let Err(mistakes) = parse(&text) {
            prop_assert!(!mistakes.is_empty());
        }
    }
}
