//! The modules `postgres`, `mysql` and `sqlite` in the real host, against real servers.

#![expect(
    clippy::unwrap_used,
    reason = "a host that cannot be set up fails the test"
)]

use std::path::Path;
use std::time::Duration;

use moonward::lua::{Ending, Host, HostOptions, Limits, RuntimeThread, Script};
use moonward::model::Clock;
use moonward::store::{Store, StoreLimits};

use crate::mysql::Mariadb;
use crate::pgbouncer::Bouncer;
use crate::server::Postgres;

/// Runs a script to its end and tells how it failed.
async fn run(source: &str) -> Option<String> {
    let runtime = RuntimeThread::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(Clock::System, StoreLimits::default());
    let host = Host::new(HostOptions {
        is_service: true,
        ..HostOptions::new(store, runtime.handle().clone())
    });
    let path = directory.path().join("script.lua");
    std::fs::write(&path, source).unwrap();
    let run = host.start(Script {
        name: "script".to_owned(),
        path,
        code: None,
        options: moonward::config::Options::default(),
        limits: Limits {
            memory: 64 * 1_048_576,
            instructions: None,
            time: Some(Duration::from_secs(20)),
        },
        deadline: Duration::from_secs(20),
    });
    match run.ended().await {
        Ending::Returned => None,
        Ending::Failed(error) => Some(error.to_string()),
    }
}

/// Runs a script that must not fail.
async fn pass(source: &str) {
    if let Some(failure) = run(source).await {
        panic!("{failure}\n{source}");
    }
}

/// Puts the socket of a test's server in the place of the one that examples name.
fn for_server(source: &str, server: &Postgres) -> String {
    let here = format!(
        "\"{}\", port = {}",
        server.directory().display(),
        server.port
    );
    source.replace("\"/run/postgresql\"", &here)
}

/// The examples of a module's pages that need its server.
fn examples(module: &str) -> Vec<String> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lua-stdlib/doc");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(pages).unwrap() {
        let page = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let fence = format!("\n```lua {module}\n");
        let blocks = page.split(&fence).skip(1);
        found.extend(blocks.map(|block| block.split("\n```").next().unwrap().to_owned()));
    }
    found
}

#[tokio::test]
async fn the_examples_of_postgres_run() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let examples = examples("postgres");
    assert!(examples.len() >= 4, "{examples:?}");
    for example in examples {
        pass(&for_server(&example, &server)).await;
    }
}

#[tokio::test]
async fn the_examples_of_mysql_run() {
    let Some(server) = Mariadb::shared().await else {
        return;
    };
    let examples = examples("mysql");
    assert!(examples.len() >= 4, "{examples:?}");
    for example in examples {
        let socket = server.options().host.unwrap();
        pass(&example.replace("/run/mysqld/mysqld.sock", &socket)).await;
    }
}

#[tokio::test]
async fn zalua_61_open_without_options_goes_to_its_default_place() {
    // Whether somebody listens there or not, the place and the names are ZaLua's.
    pass(
        r#"
        local db, err = postgres.open{connect_timeout = 0.5, password = "geheim", port = 1}
        assert(db == nil)
        assert(err:find("127.0.0.1:1 (user postgres, database postgres)", 1, true), err)
        assert(not err:find("geheim"), err)
        "#,
    )
    .await;
}

#[tokio::test]
async fn zalua_61_query_gives_rows_and_counts_that_are_one_too_large() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let script = r#"
        local db, err = postgres.open{host = "/run/postgresql"}
        assert(db and err == nil, err)
        local rows, err, columns, count = db:query("select n, 'x' || n, null, n > 1 from generate_series(1, 3) as n")
        assert(err == nil and columns == 5 and count == 4, tostring(columns) .. " " .. tostring(count))
        assert(#rows == 3 and rows[2][1] == 2 and rows[2][2] == "x2")
        assert(rows[2][3] == nil and rows[2][4] == true and rows[1][4] == false)
        db:close()
    "#;
    pass(&for_server(script, &server)).await;
}

#[tokio::test]
async fn zalua_61_a_failed_query_gives_nil_and_a_message_only() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let script = r#"
        local db = assert(postgres.open{host = "/run/postgresql"})
        local function all(...) return select('#', ...), ... end
        local results, rows, err = all(db:query("select * from nowhere"))
        assert(results == 2 and rows == nil, results)
        assert(err:find('relation "nowhere" does not exist', 1, true), err)
        -- An error between the rows is one, too.
        results, rows, err = all(db:query("select 1 / (5000 - n) from generate_series(1, 9000) as n"))
        assert(results == 2 and rows == nil and err:find("division by zero"), err)
    "#;
    pass(&for_server(script, &server)).await;
}

#[tokio::test]
async fn zalua_61_types_are_numbers_strings_and_booleans() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let script = r#"
        local db = assert(postgres.open{host = "/run/postgresql"})
        local rows = assert(db:query([[
          select 1::int2, 2::int4, 3::int8, 0.5::float4, 0.1::float8, true, 'a'::text, 'b'::varchar,
                 1.50::numeric, timestamp '2024-02-29 12:00', date '2024-02-29', '\x0061'::bytea]]))
        local expected = {1, 2, 3, 0.5, 0.1, true, "a", "b", "1.50", "2024-02-29 12:00:00", "2024-02-29", "\0a"}
        for at, value in ipairs(expected) do
          assert(rows[1][at] == value, at .. ": " .. tostring(rows[1][at]))
        end
    "#;
    pass(&for_server(script, &server)).await;
}

#[tokio::test]
async fn a_password_is_sent_under_both_names() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let port = server.port;
    for name in ["password", "passwd"] {
        pass(&format!(
            "local db = assert(postgres.open{{port = {port}, user = 'secret', database = 'postgres', \
             {name} = \"Mond'schein\"}})\n\
             assert(db:rows('select current_user as name')[1].name == 'secret')"
        ))
        .await;
    }
    pass(&format!(
        "local db, err = postgres.open{{port = {port}, user = 'secret', passwd = 'Sonnenschein'}}\n\
         assert(db == nil and err:find('28P01') and not err:find('Sonnen'), err)"
    ))
    .await;
}

#[tokio::test]
async fn rows_have_names_and_parameters_are_filled_in() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let script = r#"
        local db = assert(postgres.open{host = "/run/postgresql", max_connections = 1})
        local rows, err, affected = db:rows(
          "select $1::text as text, $2::int4 as n, $3::bool as b, $4::text as nothing, $5::float8 as f, $6::bytea as bytes",
          "it's \\", 42, true, nil, 0.25, "\255\0")
        assert(rows, err)
        local row = rows[1]
        assert(#rows == 1 and affected == 1 and row.text == "it's \\" and row.n == 42)
        assert(row.b == true and row.nothing == nil and row.f == 0.25 and row.bytes == "\255\0")
        rows, err = db:rows("select $1::int4", nil)
        assert(#rows == 1 and next(rows[1]) == nil)
        local _, _, changed = db:rows("create temp table t as select generate_series(1, 7)")
        assert(changed == 7)
        assert(#assert(db:rows("select 1 where false")) == 0)
    "#;
    pass(&for_server(script, &server)).await;
}

#[tokio::test]
async fn wrong_arguments_raise_errors_at_the_place_of_the_call() {
    pass(
        r#"
        local function raises(message, f, ...)
          local ok, err = pcall(f, ...)
          assert(not ok and err:find(message, 1, true), tostring(err))
        end
        raises("bad argument #1 to open (table expected, got nil)", function() postgres.open() end)
        raises("bad argument #1 to open (host must be string, got number)", postgres.open, {host = 1})
        raises("bad argument #1 to open (port must be number, got string)", mysql.open, {port = "1"})
        raises("bad argument #1 to open (writable must be boolean, got number)", sqlite.open, {writable = 1})
        local db, err = postgres.open{sslmode = "on"}
        assert(db == nil and err:find("verify-full", 1, true), err)
        db, err = postgres.open{port = 70000}
        assert(db == nil and err == "port is 70000; it is a whole number, 1 to 65535", err)
        db, err = postgres.open{statement_timeout = -1}
        assert(db == nil and err:find("statement_timeout", 1, true), err)
        db = assert(sqlite.open{path = ":memory:"})
        raises("bad argument #2 to query (string expected, got number)", db.query, db, 1)
        raises("bad argument #3 to rows (nil, boolean, number or string expected, got table)", db.rows, db, "", {})
        raises("bad argument #1 to query (sqlite.db expected)", db.query, {}, "select 1")
        "#,
    )
    .await;
}

#[tokio::test]
async fn a_result_that_is_larger_than_the_scripts_memory_ends_the_script_alone() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let script = r#"
        local db = assert(postgres.open{host = "/run/postgresql"})
        local kept = {}
        for i = 1, 100 do
          kept[i] = assert(db:query("select repeat('x', 1000000) || n || $1 from generate_series(1, 10) as n", i))
        end
    "#;
    let failure = run(&for_server(script, &server)).await.unwrap();
    assert!(failure.contains("memory"), "{failure}");
}

#[tokio::test]
async fn a_plugin_reads_the_console_of_pgbouncer() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let Some(bouncer) = Bouncer::start(&server).await else {
        return;
    };
    // The columns that ZaLua's plugin sums up are counted from the database's name.
    pass(&format!(
        r#"
        local db = assert(postgres.open{{port = {}, database = "pgbouncer"}})
        local stats = assert(db:rows("show stats"))
        assert(stats[1].database and tonumber(stats[1].total_query_count), "no counts")
        assert(tonumber(stats[1].total_received) and tonumber(stats[1].total_wait_time))
        assert(#assert(db:query("show clients")) >= 1)
        "#,
        bouncer.port
    ))
    .await;
}
