//! That SQLite reads a text as the check does: what passed it has changed no setting.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};

use super::checked;

/// A setting of one connection that nobody may change, and that shows whether it was.
const HARM: &str = "PRAGMA cache_size=77";

async fn is_harmed(connection: &mut SqliteConnection, sql: &str) -> bool {
    connection.execute("PRAGMA cache_size=5").await.unwrap();
    // What fails has carried out what stands before its mistake.
    drop(connection.execute(AssertSqlSafe(sql.to_owned())).await);
    let row = connection.fetch_one("PRAGMA cache_size").await.unwrap();
    row.get::<i64, _>(0) == 77
}

#[test]
fn sqlite_finds_no_pragma_that_the_check_has_not_found() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let open = || {
        runtime
            .block_on(SqliteConnection::connect("sqlite::memory:"))
            .unwrap()
    };
    for sql in [
        HARM,
        "EXPLAIN PRAGMA cache_size=77",
        "SELECT 1;\u{feff}PRAGMA cache_size=77",
    ] {
        assert!(checked(sql).is_err(), "{sql}");
        assert!(runtime.block_on(is_harmed(&mut open(), sql)), "{sql}");
    }

    let connection = std::cell::RefCell::new(open());
    // Anything at all, and statements that SQLite takes, with what could hide the next one.
    let any = prop::sample::select(vec![
        HARM,
        HARM,
        ";",
        ";",
        " ",
        "\n",
        "'",
        "\"",
        "`",
        "[",
        "]",
        "--",
        "/*",
        "*/",
        "/",
        "*",
        "$a(",
        "@b",
        "#",
        ")",
        "::",
        ":",
        "?1",
        "x'",
        "00'",
        "SELECT 1",
        "EXPLAIN ",
        "QUERY PLAN ",
        "(",
        ".5",
        "1e",
        "\u{feff}",
        "\u{a0}",
        "\u{b}",
        "é",
        "a",
    ]);
    let any = prop::collection::vec(any, 0..12).prop_map(|pieces| pieces.concat());
    let column = prop::sample::select(vec![
        "1",
        "'a'",
        "''''",
        "'--'",
        "'/*'",
        "'[' || ']'",
        "\";'\"",
        "x'27'",
        "$a(')",
        "@b::c(\")",
        ":d([)",
        "$e(--)",
        "?1",
        "1 AS [;'\"]",
        "1 AS `;``'`",
        "1 AS \"'\"\"\"",
        "1 /* ' */",
        "1 /*/ ' */",
        "1 /**/",
        "1 --'\n",
        "1 - -1",
        "1 / 2",
        "1 AS é",
    ]);
    let start = prop::sample::select(vec!["", ";", "EXPLAIN ", "\u{feff}", "/*'*/", "--\"\n"]);
    let end = prop::sample::select(vec![
        "", ";", " --'", " --')", "'", "\"", "]", "`", " /*", "*/", ")",
    ]);
    let columns = prop::collection::vec(column, 1..4);
    let whole = (start.clone(), columns, start, end).prop_map(|(before, columns, between, end)| {
        format!(
            "{before}SELECT {}; {between}{HARM}{end}",
            columns.join(", ")
        )
    });
    let texts = prop_oneof![any, whole];
    let config = Config {
        cases: 4096,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&texts, |text| {
            if checked(&text).is_ok() {
                let harmed = runtime.block_on(is_harmed(&mut connection.borrow_mut(), &text));
                prop_assert!(!harmed, "{text:?}");
            }
            Ok(())
        })
        .unwrap();
}
