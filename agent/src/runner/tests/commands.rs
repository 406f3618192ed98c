//! What comes of commands.

use super::*;
use crate::runner::{Ending, Output};

#[tokio::test]
async fn zalua_56_a_command_gives_its_output_and_status() {
    let (_house, mut connection) = House::open();
    let outcome = connection.ask(Request::shell("echo ok")).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    assert_eq!(outcome.error(), None);
    assert_eq!(outcome.stdout.bytes, b"ok\n");
    assert_eq!(outcome.stderr, Output::default());
    assert!(outcome.duration > Duration::ZERO);

    let outcome = connection.ask(Request::shell("echo no >&2; exit 3")).await;
    assert_eq!(outcome.code(), Some(3), "{outcome:?}");
    assert_eq!(outcome.error().as_deref(), Some("exit status 3"));
    assert_eq!(outcome.stdout, Output::default());
    assert_eq!(outcome.stderr.bytes, b"no\n");
}

#[tokio::test]
async fn zalua_56_a_signal_has_its_name() {
    let (_house, mut connection) = House::open();
    let outcome = connection.ask(Request::shell("echo a; kill -9 $$")).await;
    assert_eq!(outcome.code(), Some(-1), "{outcome:?}");
    assert_eq!(outcome.error().as_deref(), Some("signal: killed"));
    assert_eq!(outcome.stdout.bytes, b"a\n");
}

#[tokio::test]
async fn zalua_56_a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
    let (_house, mut connection) = House::open();
    let text = "sleep 60 & echo $!; (sleep 60; :) & echo $!; echo $$; sleep 60";
    let limit = Duration::from_millis(200);
    let outcome = connection
        .ask(Request::shell(text).with_timeout(limit))
        .await;
    assert_eq!(outcome.ending, Ending::TimedOut(limit));
    assert_eq!(outcome.code(), None);
    assert_eq!(
        outcome.error().as_deref(),
        Some("execute timeout after 0.2 seconds")
    );
    let pids = String::from_utf8(outcome.stdout.bytes).unwrap();
    assert_eq!(pids.lines().count(), 3, "{pids:?}");
    for pid in pids.lines() {
        until("it is gone", || !lives(pid)).await;
    }
    let own = pids.lines().last().unwrap();
    assert!(
        !Path::new("/proc").join(own).exists(),
        "the runner leaves no zombie"
    );
}

#[tokio::test]
async fn who_ignores_the_first_signal_gets_the_second() {
    let (_house, mut connection) = House::open();
    let text = "trap '' TERM; echo $$; while :; do sleep 60; done";
    let request = Request::shell(text).with_timeout(Duration::from_millis(100));
    let outcome = connection.ask(request).await;
    assert!(matches!(outcome.ending, Ending::TimedOut(_)), "{outcome:?}");
    assert!(
        outcome.duration >= Patience::DEFAULT.term,
        "it had a second"
    );
    let pid = String::from_utf8(outcome.stdout.bytes).unwrap();
    assert!(!lives(pid.trim()));
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_killed() {
    let (_house, mut connection) = House::open();
    // One that is silent, and one that would keep the output open.
    let silent = connection.say("sleep 60 >/dev/null 2>&1 & echo $!").await;
    until("it is gone", || !lives(silent.trim())).await;
    let loud = connection.say("sleep 60 & echo $!").await;
    until("it is gone", || !lives(loud.trim())).await;
    let late = connection.say("(sleep 0.1; echo late) & echo soon").await;
    assert_eq!(late, "soon\nlate\n", "last words belong to the result");
}

#[tokio::test]
async fn a_process_that_has_left_the_group_keeps_nobody_waiting() {
    let (_house, mut connection) = House::open();
    let began = std::time::Duration::from_secs(30);
    let request = Request::shell("setsid sleep 60 & echo $!").with_timeout(began);
    let outcome = connection.ask(request).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    assert!(outcome.duration < Duration::from_secs(20), "{outcome:?}");
    let pid = String::from_utf8(outcome.stdout.bytes).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    // It may not have come to its own session before its group was killed.
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
}

#[tokio::test]
async fn programs_that_are_not_there_are_told_apart() {
    let (_house, mut connection) = House::open();
    let outcome = connection
        .ask(Request::shell("moonward-no-such-program"))
        .await;
    assert_eq!(outcome.code(), Some(127), "{outcome:?}");
    assert!(!outcome.stderr.bytes.is_empty());
    for program in ["moonward-no-such-program", "/etc/passwd", "/"] {
        let outcome = connection.ask(Request::program([program])).await;
        let Ending::NotStarted(reason) = outcome.ending else {
            panic!("{outcome:?}");
        };
        assert!(
            reason.starts_with(&format!("cannot start {program}: ")),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn words_are_given_as_they_are() {
    let (_house, mut connection) = House::open();
    let request = Request::program(["printf", "<%s>", "a b", "$HOME", "*", "'"]);
    let outcome = connection.ask(request).await;
    assert_eq!(outcome.stdout.bytes, b"<a b><$HOME><*><'>", "{outcome:?}");
}

#[tokio::test]
async fn the_input_is_delivered_and_need_not_be_read() {
    let (_house, mut connection) = House::open();
    let input: Vec<u8> = (0..=255).cycle().take(60_000).collect();
    let request = Request::program(["cat"]).with_stdin(input.clone());
    let outcome = connection.ask(request).await;
    assert_eq!(outcome.stdout.bytes, input);
    // A pipe that nobody reads, and none at all.
    let request = Request::shell("exit 4").with_stdin(input);
    assert_eq!(connection.ask(request).await.code(), Some(4));
    assert_eq!(connection.say("cat").await, "");
}

#[tokio::test]
async fn a_command_finds_a_clean_place() {
    let (_house, mut connection) = House::open();
    let environment = connection.say("env | grep -v ^_= | sort").await;
    assert_eq!(
        environment,
        "HOME=/home/of/nobody\nLANG=C.UTF-8\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\n"
    );
    // Its own group, and no signal that it would not get or would ignore.
    let status = connection
        .say("echo $$ $(cut -d' ' -f5 /proc/$$/stat); grep -E '^Sig(Blk|Ign)' /proc/self/status")
        .await;
    let mut lines = status.lines();
    let numbers: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(numbers[0], numbers[1]);
    for line in lines {
        let mask = line.split_whitespace().last().unwrap();
        let mask = u64::from_str_radix(mask, 16).unwrap();
        // The C library keeps 32 and 33 for itself.
        assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
    }
}
