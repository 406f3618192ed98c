//! The stock plugins `postgres` and `pgbouncer` in the real host, against real servers; and with
//! them all keys of ZaLua's file for Zabbix.

#![expect(
    clippy::unwrap_used,
    reason = "a host that cannot be set up fails the test"
)]
#![expect(
    clippy::float_cmp,
    reason = "counts of sessions and locks are whole numbers"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use moonward::collect::Root;
use moonward::config::{Config, ConfigPaths, Environment, Options};
use moonward::lua::sql::{Cell, Database};
use moonward::lua::{
    Ending, Host, HostOptions, Limits, Plan, Run, RuntimeThread, Script, Supervisor,
};
use moonward::model::clock::ManualClock;
use moonward::model::{Clock, Glob, Kind};
use moonward::store::{Store, StoreLimits};
use rustix::process::Signal;

use crate::pgbouncer::Bouncer;
use crate::rows;
use crate::server::Postgres;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A host for stock plugins, with a clock that the test moves.
struct Stage {
    store: Store,
    clock: Arc<ManualClock>,
    host: Host,
    directory: tempfile::TempDir,
    _runtime: RuntimeThread,
}

impl Stage {
    fn new() -> Self {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(1_700_000_000));
        let runtime = RuntimeThread::start().unwrap();
        let store = Store::new(clock, StoreLimits::default());
        let host = Host::new(HostOptions {
            is_service: true,
            ..HostOptions::new(store.clone(), runtime.handle().clone())
        });
        Self {
            store,
            clock: hand,
            host,
            directory: tempfile::tempdir().unwrap(),
            _runtime: runtime,
        }
    }

    /// Starts a stock plugin with options, written as Lua.
    fn start(&self, plugin: &str, options: &str) -> Run {
        let source = Path::new(REPOSITORY)
            .join("lua-stdlib/plugins")
            .join(plugin);
        let source = std::fs::read_to_string(source.with_extension("lua")).unwrap();
        let path = self.directory.path().join(plugin).with_extension("lua");
        let options = format!("plugin.options = {{interval = 86400, {options}}}");
        std::fs::write(&path, format!("{options} {source}")).unwrap();
        self.host.start(Script {
            name: plugin.to_owned(),
            path,
            code: None,
            options: Options::default(),
            limits: Limits {
                memory: 32 * 1_048_576,
                instructions: Some(100_000_000),
                time: Some(Duration::from_secs(20)),
            },
            deadline: Duration::from_secs(30),
        })
    }

    /// Has it run again, a minute later.
    async fn next(&self, run: &Run) {
        let before = run.status().runs;
        self.clock.advance(Duration::from_mins(1));
        run.hurry();
        until(run, before + 1).await;
    }

    /// The value of a series; not a number when there is none.
    fn number(&self, series: &str) -> f64 {
        let reading = self.store.get(series);
        reading.map_or(f64::NAN, |reading| reading.value.as_f64().unwrap())
    }

    fn text(&self, series: &str) -> String {
        let reading = self.store.get(series).unwrap();
        assert_eq!(reading.kind, Kind::Text, "{series}");
        reading.value.to_string()
    }

    /// The unit of a series.
    fn unit(&self, series: &str) -> String {
        self.store.get(series).unwrap().unit.as_str().to_owned()
    }
}

/// Waits until so many runs have ended well: the first is the script itself.
async fn until(run: &Run, runs: u64) {
    while run.status().runs < runs {
        if let Some(ending) = run.ending() {
            panic!("{ending:?}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The options for a server's socket.
fn at(server: &Postgres) -> String {
    format!(
        "host = '{}', port = {}, user = 'postgres'",
        server.directory().display(),
        server.port
    )
}

async fn count(database: &Database, statement: &str) -> f64 {
    match crate::one(database, statement, &[]).await {
        Cell::Integer(number) => number as f64,
        Cell::Float(number) => number,
        Cell::Text(number) => number.parse().unwrap(),
        other => panic!("{statement} gave {other:?}"),
    }
}

#[tokio::test]
async fn zalua_66_postgres_tells_what_its_statistics_say() {
    let Some(server) = Postgres::alone().await else {
        return;
    };
    let database = server.open().await.unwrap();
    rows(&database, "CREATE TABLE things (id int PRIMARY KEY)", &[]).await;
    let stage = Stage::new();
    // Somebody sets the clock on the wall back, an hour at a time; no speed is to know of it.
    let clock = "[(function()
        local now, looks = time.unix, 0
        function time.unix()
          looks = looks + 1
          return now() - 3600 * looks
        end
      end)() or 1] = 1";
    let run = stage.start("postgres", &format!("{}, {clock}", at(&server)));
    until(&run, 2).await;
    assert!(stage.number("postgres.wal.write_bytes_in_sec").is_nan());
    let log = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8";
    let log_before = count(&database, log).await;
    rows(
        &database,
        "INSERT INTO things SELECT generate_series(1, 600)",
        &[],
    )
    .await;
    rows(&database, "UPDATE things SET id = id + 10000", &[]).await;
    rows(&database, "DELETE FROM things WHERE id <= 10120", &[]).await;
    rows(&database, "SELECT count(*) FROM things", &[]).await;
    // The server tells its statistics when a session has been idle for a moment, at the latest
    // when it ends.
    database.close().await;
    let database = server.open().await.unwrap();
    let deleted = "SELECT tup_deleted FROM pg_stat_database WHERE datname = 'postgres'";
    while count(&database, deleted).await < 120.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log_after = count(&database, log).await;
    stage.next(&run).await;

    let speed = |name: &str| stage.number(&format!("postgres.{name}"));
    for (name, expected) in [
        ("rows.inserted", 10.0),
        ("rows.updated", 10.0),
        ("rows.deleted", 2.0),
    ] {
        let seen = speed(name);
        // The catalogue has rows of its own.
        assert!((expected..expected + 1.0).contains(&seen), "{name}: {seen}");
        assert_eq!(stage.unit(&format!("postgres.{name}")), "1/s");
    }
    assert!(speed("rows.returned") > 10.0 && speed("rows.fetched") >= 0.0);
    assert!(speed("blks.hit") > 1.0 && speed("blks.read") >= 0.0);
    let hit_rate = speed("blks.hit_rate");
    assert!((50.0..=100.0).contains(&hit_rate), "{hit_rate}");
    let written = speed("wal.write_bytes_in_sec") * 60.0;
    // Making the extension is part of it.
    let least = log_after - log_before;
    assert!(
        (least..least + 1_000_000.0).contains(&written),
        "{written} of {least}"
    );
    assert_eq!(speed("wal.last_apply"), 0.0);
    let files = count(&database, "SELECT count(*) FROM pg_ls_waldir()").await;
    assert_eq!(speed("wal.count"), files);

    // Its own statements are among them, a dozen or so a minute.
    assert!(
        (0.1..5.0).contains(&speed("queries.count")),
        "{}",
        speed("queries.count")
    );
    assert!((0.001..1000.0).contains(&speed("queries.avg_time_ms")));
    for name in ["time.disk_read_ms", "time.disk_write_ms", "time.other_ms"] {
        assert!(speed(name) >= 0.0, "{name}: {}", speed(name));
    }
    assert!(speed("time.other_ms") > 0.0);

    let size = count(&database, "SELECT pg_database_size('postgres')").await;
    let seen = speed("database.size[postgres]");
    assert!((size - seen).abs() < 1_000_000.0, "{seen} of {size}");
    let age = "SELECT age(datfrozenxid) FROM pg_database WHERE datname = 'postgres'";
    let difference = count(&database, age).await - speed("database.age[postgres]");
    assert!((0.0..20.0).contains(&difference), "{difference}");
    assert_eq!(
        stage.text("postgres.database.discovery"),
        r#"{"data":[{"{#DATABASE}":"postgres"}]}"#,
        "zalua_69: no templates"
    );
}

#[tokio::test]
async fn zalua_66_postgres_counts_sessions_locks_and_long_queries() {
    let Some(server) = Postgres::alone().await else {
        return;
    };
    let stage = Stage::new();
    let run = stage.start("postgres", &format!("{}, long = 0", at(&server)));
    until(&run, 2).await;
    let number = |name: &str| stage.number(&format!("postgres.{name}"));
    assert_eq!(stage.text("postgres.queries.long"), "ok");
    assert_eq!(number("connections.active"), 1.0, "itself");
    assert_eq!(number("locks.accessexclusive"), 0.0);
    assert_eq!(number("connections.waiting"), 0.0);

    // One holds a lock in a transaction, the other waits for it.
    let holder = server.open().await.unwrap();
    rows(&holder, "CREATE TABLE things (id int)", &[]).await;
    rows(
        &holder,
        "DO $$ BEGIN PERFORM set_config('x.y', 'autovacuum', false); END $$",
        &[],
    )
    .await;
    let psql = crate::programs::find("psql").unwrap();
    let session = |statements: &[&str]| {
        let mut command = crate::programs::command(&psql, crate::server::ACCOUNT);
        command
            .args(["--no-psqlrc", "--quiet", "--username=postgres", "--host"])
            .arg(server.directory())
            .args(["--port", &server.port.to_string()]);
        for statement in statements {
            command.args(["--command", statement]);
        }
        crate::programs::Running::start(command, &server.directory().join("psql"))
    };
    let sleeper = session(&["BEGIN", "LOCK TABLE things", "SELECT pg_sleep(600)"]);
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted";
    while count(&holder, locked).await < 1.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let waiter = session(&["SELECT 'it waits' FROM things"]);
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while count(&holder, waits).await < 1.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.next(&run).await;
    assert_eq!(number("locks.accessexclusive"), 1.0);
    assert!(number("locks.accessshare") >= 1.0);
    assert_eq!(
        number("connections.waiting"),
        1.0,
        "nobody who waits for a client, or sleeps"
    );
    assert_eq!(number("connections.active"), 3.0);
    assert!(number("connections.idle") >= 1.0);
    assert_eq!(number("connections.idle_in_transaction"), 0.0);
    assert_eq!(number("connections.autovacuum"), 0.0);
    let long = stage.text("postgres.queries.long");
    assert!(long.starts_with("Найдено 2 запрос(ов) которые запущены давно:  `SELECT pg_sleep(600)` в состоянии `active` и запущен "), "{long}");
    assert!(
        long.contains(" `SELECT 'it waits' FROM things` в состоянии `active` и запущен "),
        "{long}"
    );
    assert!(long.ends_with(" секунд назад."), "{long}");
    for session in [waiter, sleeper] {
        session.stop(Signal::TERM);
    }
}

#[tokio::test]
async fn zalua_66_a_replica_tells_how_far_it_is_behind() {
    let Some(server) = Postgres::alone().await else {
        return;
    };
    let Some(replica) = server.replica().await else {
        return;
    };
    let stage = Stage::new();
    let database = server.open().await.unwrap();
    rows(&database, "CREATE TABLE things (id int)", &[]).await;
    let copy = replica.open().await.unwrap();
    let applied = "SELECT count(*) FROM pg_class WHERE relname = 'things'";
    while count(&copy, applied).await < 1.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let run = stage.start("postgres", &at(&replica));
    until(&run, 2).await;
    let behind = count(
        &copy,
        "SELECT extract(epoch from now() - pg_last_xact_replay_timestamp())::float8",
    )
    .await;
    let seen = stage.number("postgres.wal.last_apply");
    assert!(seen > 0.0 && seen <= behind, "{seen} of {behind}");
    stage.next(&run).await;
    assert!(
        stage.number("postgres.wal.last_apply") > seen,
        "nothing was done meanwhile"
    );
    assert!(
        stage.number("postgres.wal.write_bytes_in_sec").is_nan(),
        "of a primary only"
    );
    assert!(stage.number("postgres.wal.count") >= 1.0);
    assert!(stage.number("postgres.database.size[postgres]") > 1e6);
    // The sender on the primary is no query that has run for long.
    let run = stage.start("postgres", &format!("{}, long = 0", at(&server)));
    until(&run, 2).await;
    assert_eq!(
        count(&database, "SELECT count(*) FROM pg_stat_replication").await,
        1.0
    );
    assert_eq!(stage.text("postgres.queries.long"), "ok");
}

#[tokio::test]
async fn postgres_that_goes_away_ends_the_run_and_says_so() {
    let Some(server) = Postgres::alone().await else {
        return;
    };
    let stage = Stage::new();
    let run = stage.start("postgres", &at(&server));
    until(&run, 2).await;
    let place = server.directory().display().to_string();
    drop(server);
    run.hurry();
    let Ending::Failed(error) = run.ended().await else {
        panic!("it returned");
    };
    assert!(error.to_string().contains(&place), "{error}");
}

#[tokio::test]
async fn zalua_66_pgbouncer_tells_its_sums() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let Some(bouncer) = Bouncer::start(&server).await else {
        return;
    };
    let stage = Stage::new();
    let run = stage.start(
        "pgbouncer",
        &format!("host = '127.0.0.1', port = {}", bouncer.port),
    );
    until(&run, 2).await;
    let client = bouncer.open("postgres").await.unwrap();
    for _ in 0..60 {
        rows(&client, "SELECT pg_sleep(0.002)", &[]).await;
    }
    stage.next(&run).await;
    let speed = |name: &str| stage.number(&format!("pgbouncer.{name}"));
    assert!(
        (1.0..6.0).contains(&speed("query.count")),
        "{}",
        speed("query.count")
    );
    assert!(speed("received") > 20.0 && speed("sent") > 20.0);
    // Seconds per second: at least 60 times 2 ms in a minute, and no more than the test took.
    assert!(
        (0.002..1.0).contains(&speed("query.total_time")),
        "{}",
        speed("query.total_time")
    );
    assert!(
        (0.0..1.0).contains(&speed("query.wait_time")),
        "{}",
        speed("query.wait_time")
    );
    for name in [
        "query.count",
        "received",
        "sent",
        "query.total_time",
        "query.wait_time",
    ] {
        assert_eq!(stage.unit(&format!("pgbouncer.{name}")), "1/s", "{name}");
    }
    assert_eq!(stage.unit("pgbouncer.clients.count"), "");
    assert_eq!(speed("clients.count"), 2.0, "the client, and who asks");
}

/// The item keys of the file for Zabbix; those with a parameter end in a bracket.
fn keys() -> Vec<String> {
    let path = Path::new(REPOSITORY).join("systemd/zabbix/moonward.conf");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("UserParameter="))
        .map(|line| {
            line.split(',')
                .next()
                .unwrap()
                .trim_end_matches("*]")
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn zalua_70_every_key_of_the_file_for_zabbix_has_a_value() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let Some(bouncer) = Bouncer::start(&server).await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    // Twice within a second, so that every speed is known.
    let plugins = [
        "cpu",
        "diskstat",
        "io",
        "messages",
        "net_dev",
        "numa",
        "runit",
        "snmp",
        "temperature",
    ];
    let often = plugins.map(|name| format!("[plugin.{name}.options]\ninterval = 0.3\n"));
    let often = often.concat();
    let socket = server.directory().display();
    let settings = format!(
        "{often}\
         [plugin.postgres.options]\ninterval = 0.3\nhost = \"{socket}\"\nport = {}\nuser = \"postgres\"\n\
         [plugin.pgbouncer.options]\ninterval = 0.3\nhost = \"127.0.0.1\"\nport = {}\n\
         [plugin.prometheus]\nenabled = false\n\
         [plugin]\ndirectories = [\"{}\"]\nlibrary = \"{}\"\n",
        server.port,
        bouncer.port,
        path("plugins").display(),
        path("absent").display(),
    );
    let file = path("moonward.toml");
    std::fs::write(&file, settings).unwrap();
    let config = Config::load(&ConfigPaths::file(file), &Environment::default()).unwrap();

    let runtime = RuntimeThread::start().unwrap();
    let store = Store::new(Clock::System, StoreLimits::default());
    let machine = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/machines/two-nodes");
    let host = Host::new(HostOptions {
        is_service: true,
        root: Root::recorded(machine),
        ..HostOptions::new(store.clone(), runtime.handle().clone())
    });
    let plan = Plan {
        config: config.plugin,
        init: None,
    };
    let supervisor = Supervisor::start(&host, plan);
    let mut missing: BTreeSet<String> = keys().into_iter().collect();
    assert_eq!(missing.len(), 86);
    // No plugin has failed yet, so there is no last error.
    assert!(missing.remove("zalua.error.last"));
    let clock = Clock::System;
    let begin = clock.now();
    while !missing.is_empty() && clock.now().since(begin) < Duration::from_mins(1) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        missing.retain(|key| {
            if key.ends_with('[') {
                store.scan(&Glob::new(&format!("{key}*]"))).is_empty()
            } else {
                store.get(key).is_none()
            }
        });
    }
    let failed = store
        .get("zalua.error.last")
        .map(|reading| reading.value.to_string());
    assert!(missing.is_empty(), "{missing:?}, {failed:?}");
    assert_eq!(failed, None);
    assert!(supervisor.stop(Duration::from_secs(5)).await);
}
