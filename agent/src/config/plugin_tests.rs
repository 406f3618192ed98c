//! Tests of `[plugin]`, whose tables have free names and free options.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::difference::Change;
use super::tests::{parse, problems};
use super::*;

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = parse(&[]).unwrap();
    let plugin = &config.plugin;
    assert_eq!(plugin.directories, [Path::new("/etc/moonward/plugins")]);
    assert_eq!(plugin.library, Path::new("/usr/share/moonward/lua"));
    assert_eq!(plugin.modules, [Path::new("/etc/moonward/plugins/common")]);
    let settings = plugin.settings("any");
    assert_eq!(settings, PluginSettings::default());
    assert_eq!(
        (settings.memory, settings.instructions),
        (32 << 20, 100_000_000)
    );
    assert!(plugin.stock && plugin.any_enabled());
    let runner = config.runner.socket.unwrap();
    assert_eq!(runner, Path::new("/run/moonward/runner.sock"));
    let zalua = config.zalua;
    assert_eq!((zalua.init, zalua.storage, zalua.log), (None, None, None));
}

#[test]
fn what_a_plugin_does_not_say_is_as_for_all() {
    let config = parse(&[
        "[plugin.cpu]\nmemory = \"64MiB\"\n[plugin]\ntime = \"1s\"\nmemory = \"16MiB\"",
        "[plugin.cpu]\ndeadline = \"5s\"\n[plugin]\ninstructions = 200_000",
    ])
    .unwrap();
    let cpu = config.plugin.settings("cpu");
    assert_eq!(cpu.memory, 64 << 20);
    assert_eq!(cpu.time, Duration::from_secs(1));
    assert_eq!(cpu.deadline, Duration::from_secs(5));
    assert_eq!(cpu.instructions, 200_000);
    assert_eq!(config.plugin.settings("cpu.lua"), cpu);
    let other = config.plugin.settings("other");
    assert_eq!(
        (other.memory, other.deadline),
        (16 << 20, Duration::from_mins(1))
    );
    let named: Vec<&str> = config.plugin.named().map(|(name, _)| name).collect();
    assert_eq!(named, ["cpu"]);
}

#[test]
fn a_plugins_own_switch_wins() {
    let config = parse(&["[plugin]\nenabled = false\n[plugin.cpu]\nenabled = true"]).unwrap();
    assert!(config.plugin.settings("cpu").enabled);
    assert!(!config.plugin.settings("other").enabled);
    assert!(config.plugin.any_enabled());
    let config = parse(&["plugin.enabled = false\nplugin.cpu.memory = \"1MiB\""]).unwrap();
    assert!(!config.plugin.any_enabled());
}

#[test]
fn a_plugin_called_like_a_key_has_a_table_too() {
    let config = parse(&[
        "[plugin]\nmemory = \"2MiB\"\n[plugin.\"memory.lua\"]\nmemory = \"3MiB\"\n\
         [plugin.\"a.b-c_D\"]\nmemory = \"4MiB\"",
        "[plugin.memory]\ntime = \"20ms\"",
    ])
    .unwrap();
    let memory = config.plugin.settings("memory");
    assert_eq!(
        (memory.memory, memory.time),
        (3 << 20, Duration::from_millis(20))
    );
    assert_eq!(config.plugin.settings("a.b-c_D").memory, 4 << 20);
    assert_eq!(config.plugin.settings("other").memory, 2 << 20);
    let text = config.to_toml();
    assert!(text.contains("[plugin.\"memory.lua\"]\n"), "{text}");
    let again = parse(&[&text]).unwrap();
    assert_eq!(again.plugin, config.plugin);
}

#[test]
fn options_are_kept_as_they_are() {
    let config = parse(&[
        "[plugin.a.options]\nhosts = [\"db1\", \"db2\"]\nport = 0x1F\nratio = -0.5\non = true\n\
         query = \"\"\"select\n\t1\"\"\"\n[plugin.a.options.\"deep er\"]\nx = {y = [nan, inf]}",
        "[plugin.a.options]\nport = 7",
    ])
    .unwrap();
    let options = config.plugin.settings("a").options;
    assert_eq!(options.get("port"), Some(&OptionValue::Integer(7)));
    assert_eq!(options.get("ratio"), Some(&OptionValue::Float(-0.5)));
    assert_eq!(
        options.get("query"),
        Some(&OptionValue::Text("select\n\t1".into()))
    );
    let Some(OptionValue::List(hosts)) = options.get("hosts") else {
        panic!("{options:?}");
    };
    assert_eq!(hosts[1], OptionValue::Text("db2".into()));
    let names: Vec<&str> = options.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["deep er", "hosts", "on", "port", "query", "ratio"]);
    assert!(config.to_toml().contains(
        "options = { \"deep er\" = { x = { y = [nan, inf] } }, hosts = [\"db1\", \"db2\"], \
         on = true, port = 7, query = \"select\\n\\t1\", ratio = -0.5 }\n"
    ));
    let again = parse(&[&config.to_toml()]).unwrap();
    assert_eq!(again.plugin, config.plugin);
    assert!(config.plugin.settings("b").options.is_empty());
}

#[test]
fn every_mistake_is_reported_where_it_is() {
    let first = r#"[plugin]
memroy = "1MiB"
memory = "2GiB"
instructions = 99_999
time = "1h"
directories = ["plugins", 7]
modules = "/x"
library = "lua"

[plugin.cpu]
memory = 5
interval = "5s"
optoins = {}

[plugin.cpu.options]
when = 1979-05-27
list = ["a", "b\u0001", {c = {d = {}}}, [[1]]]
big = 99999999999999999999
huge = 1e999

[plugin."a/b"]
[plugin.c]
options = 7
[runner]
socket = "runner.sock"
[zalua]
init = 1
"#;
    let lines = problems(&[first, "plugin = 7\n"]);
    let expected = [
        "0.toml:2:1: unknown key \"memroy\" in [plugin]; did you mean \"memory\"?",
        "0.toml:3:10: plugin.memory: found \"2GiB\", expected a size from \"1MiB\" to \"1GiB\", \
         such as \"64KiB\"",
        "0.toml:4:16: plugin.instructions: found 99999, expected a whole number from 100000 to \
         1000000000000",
        "0.toml:5:8: plugin.time: found \"1h\", expected a duration from \"10ms\" to \"1m\", such \
         as \"10s\" or \"1h30m\"",
        "0.toml:6:16: plugin.directories: found \"plugins\" in the list, expected a list of at \
         most 1000 absolute paths: it does not begin with \"/\"",
        "0.toml:7:11: plugin.modules: found \"/x\", expected a list of at most 1000 absolute paths",
        "0.toml:8:11: plugin.library: found \"lua\", expected an absolute path",
        "0.toml:11:10: plugin.cpu.memory: found 5, expected a size from \"1MiB\" to \"1GiB\", \
         such as \"64KiB\": a number is not quoted text",
        "0.toml:12:1: unknown key \"interval\" in [plugin.cpu]; it belongs to [collect]; known are \
         enabled, memory, instructions, time, deadline, options",
        "0.toml:13:1: unknown key \"optoins\" in [plugin.cpu]; did you mean \"options\"?",
        "0.toml:16:8: plugin.cpu.options: \"when\": found 1979-05-27, expected a time in quotes",
        "0.toml:17:14: plugin.cpu.options: found \"b\\u{1}\": it holds a control character",
        "0.toml:17:35: plugin.cpu.options: \"d\": found a table, expected no more than 4 tables \
         and lists in each other",
        "0.toml:18:7: plugin.cpu.options: \"big\": found 99999999999999999999, expected a whole \
         number of 64 bits",
        "0.toml:19:8: plugin.cpu.options: \"huge\": found 1e999, expected a number of 64 bits",
        "0.toml:21:9: plugin: found \"a/b\", expected the name of a plugin, which has at most 251 \
         letters, digits, \"_\", \".\" and \"-\"",
        "0.toml:23:11: plugin.c.options: found 7, expected a table",
        "0.toml:25:10: runner.socket: found \"runner.sock\", expected an absolute path or \"off\"",
        "0.toml:27:8: zalua.init: found 1, expected an absolute path or \"off\": a number is not \
         quoted text",
        "1.toml:1:10: plugin: found 7, expected a table, written [plugin]",
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
}

#[test]
fn names_options_and_plugins_are_bounded() {
    let refused = |text: &str| problems(&[text]).join("\n");
    let keys = (0..65).fold("[plugin.a.options]\n".to_owned(), |mut text, index| {
        writeln!(text, "k{index} = 1").unwrap();
        text
    });
    assert!(refused(&keys).contains("found 65 keys, expected at most 64"));
    let half = |from: usize| {
        (from..from + 40).fold("[plugin.a.options]\n".to_owned(), |mut text, index| {
            writeln!(text, "k{index} = 1").unwrap();
            text
        })
    };
    assert!(problems(&[&half(0), &half(40)])[0].contains("found 80 keys in all files"));
    assert!(parse(&[&half(0), &half(10)]).is_ok());
    let long = format!("[plugin.a.options]\nx = \"{}\"", "x".repeat(4097));
    assert!(refused(&long).contains("longer than 4096 bytes"));
    assert!(parse(&[&long.replacen('x', "y", 2).replacen("xx", "x", 1)]).is_ok());
    let list = format!("[plugin.a.options]\nx = [{}]", "1, ".repeat(1001));
    assert!(refused(&list).contains("a list of 1001 elements"));
    let plugins = (0..1001).fold(String::new(), |mut text, index| {
        writeln!(text, "[plugin.p{index}]").unwrap();
        text
    });
    assert!(refused(&plugins).contains("expected at most 1000 plugins"));
    for name in ["", " ", "é", "a/b", ".lua", "a.lua.lua", &"x".repeat(252)] {
        assert!(!PluginConfig::is_name(name), "{name}");
        assert!(refused(&format!("[plugin.{name:?}]")).contains("the name of a plugin"));
    }
}

#[test]
fn the_pauses_between_starts_fit_each_other() {
    let lines = problems(&["[plugin]\nrestart_delay = \"1m\"\nrestart_delay_max = \"30s\""]);
    assert_eq!(
        lines,
        [
            "0.toml:3:21: plugin.restart_delay_max: found \"30s\", expected at least \
             plugin.restart_delay, which is \"1m\""
        ]
    );
    let config = parse(&["[plugin]\nrestart_delay = \"10m\""]).unwrap();
    assert_eq!(config.plugin.restart_delay_max, Duration::from_mins(10));
    let config = parse(&["[plugin]\nrestart_delay_max = \"2s\""]).unwrap();
    assert_eq!(config.plugin.restart_delay, Duration::from_secs(2));
}

#[test]
fn the_difference_holds_plugins_of_one_side_too() {
    let old = parse(&["[plugin.a]\nmemory = \"2MiB\"\n[plugin.gone]\nenabled = false"]).unwrap();
    let new = parse(&[
        "[plugin.a]\nmemory = \"3MiB\"\n[plugin.same]\n[plugin.new.options]\nx = 1\n\
         [plugin]\nlibrary = \"/x\"\n[runner]\nsocket = \"off\"\n[zalua]\nlog = \"/log\"",
    ])
    .unwrap();
    let difference = difference(&old, &new);
    let changes: Vec<String> = difference
        .changes
        .iter()
        .map(|change| {
            let Change {
                section,
                key,
                old,
                new,
                ..
            } = change;
            format!("{section}.{key}: {old} -> {new}")
        })
        .collect();
    assert_eq!(
        changes,
        [
            "zalua.log: \"off\" -> \"/log\"",
            "plugin.library: \"/usr/share/moonward/lua\" -> \"/x\"",
            "runner.socket: \"/run/moonward/runner.sock\" -> \"off\"",
            "plugin.a.memory: \"2MiB\" -> \"3MiB\"",
            "plugin.gone.enabled: false -> true",
            "plugin.new.options: 0 options -> 1 options",
        ]
    );
    let restarts = difference.needs_restart();
    assert_eq!(restarts, ["zalua.log", "plugin.library", "runner.socket"]);
    assert!(difference.touches("plugin") && difference.touches("plugin.a"));
    assert_ne!(old.plugin.settings("a"), new.plugin.settings("a"));
    assert_eq!(old.plugin.settings("same"), new.plugin.settings("same"));
}

/// The shipped file shows a plugin's table as an example, with every key that there is.
#[test]
fn the_shipped_file_shows_every_key_of_a_plugin() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/moonward.toml");
    let sample = std::fs::read_to_string(path).unwrap();
    let example: String = sample
        .lines()
        .filter_map(|line| line.strip_prefix("#    "))
        .fold(String::new(), |text, line| text + line + "\n");
    let config = parse(&[&example]).unwrap();
    assert!(config.plugin.named().any(|(name, _)| name == "NAME"));
    for key in schema::PLUGIN_KEYS {
        let shown = [format!("\n{} = ", key.name), format!(".{}]\n", key.name)];
        assert!(
            shown.iter().any(|shown| example.contains(shown)),
            "{}",
            key.name
        );
    }
    // The list in the text and the keys of `[plugin]` cannot drift apart unseen.
    let common = schema::keys("plugin").iter().map(|key| key.name);
    let common: Vec<&str> = common.collect();
    for key in schema::PLUGIN_KEYS {
        assert!(key.name == "options" || common.contains(&key.name));
    }
}

proptest! {
    #[test]
    fn what_is_in_force_reads_back(
        name in "[A-Za-z0-9_.-]{1,12}", text in any::<String>(), number: i64, float: f64,
        key in "\\PC{0,8}",
    ) {
        prop_assume!(PluginConfig::is_name(&name));
        let text = text.replace(|c: char| c.is_control() && c != '\n', "");
        let (text, key) = (field::toml_text(&text), field::toml_text(&key));
        let file = format!(
            "[plugin.\"{name}.lua\".options]\n{key} = [{text}, {number}, {}]",
            format!("{float:?}").replace("NaN", "nan"),
        );
        let config = parse(&[&file]).unwrap();
        let again = parse(&[&config.to_toml()]).unwrap();
        prop_assert!(difference(&config, &again).is_empty());
        prop_assert_eq!(config.plugin, again.plugin);
    }

    #[test]
    fn no_near_miss_makes_the_reader_panic(
        text in proptest::collection::vec(
            prop_oneof![
                Just("[plugin"), Just("[plugin.a"), Just(".options"), Just("]\n"), Just("."),
                Just("options = "), Just("memory = "), Just("\"1MiB\"\n"), Just("{"), Just("}"),
                Just("[["), Just("]]\n"), Just("a = "), Just("1\n"), Just("\"\""), Just(","),
                Just("\"a.lua\""), Just("nan\n"), Just("enabled = true\n"), Just("["), Just("]"),
            ],
            0..30,
        )
    ) {
        match parse(&[&text.concat()]) {
            Ok(config) => {
                let again = parse(&[&config.to_toml()]).unwrap();
                prop_assert_eq!(config.plugin, again.plugin);
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems.list() {
                    prop_assert_eq!(problem.to_string().lines().count(), 1);
                }
            }
        }
    }
}
