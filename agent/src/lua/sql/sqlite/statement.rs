//! What statements of plugins may be: everything that SQLite does with the one file, and of `PRAGMA`
//! what can harm nobody else. Tests: below, `sqlite/tests.rs` against SQLite itself, and
//! `fuzz/fuzz_targets/sql.rs`.

use super::token::{Token, Tokens};
use crate::lua::sql::SqlError;

/// The longest text of statements in bytes: SQLite's own bound, as it is compiled here.
pub const STATEMENT_MAX: usize = 1 << 16;

/// Settings of one database or connection, and questions that take an argument.
const FREE: [&str; 19] = [
    "application_id",
    "collation_list",
    "compile_options",
    "database_list",
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// Those that may only be asked.
const READ: [&str; 11] = [
    "auto_vacuum",
    "cache_size",
    "data_version",
    "encoding",
    "freelist_count",
    "hard_heap_limit",
    "journal_mode",
    "max_page_count",
    "page_count",
    "page_size",
    "schema_version",
];

/// Gives the text that may be run, without the blanks around it.
///
/// `PRAGMA` is looked for wherever a statement can begin, behind `EXPLAIN` too, since SQLite carries
/// many of them out while it only reads them.
///
/// # Errors
/// A text that is too long or holds a NUL, where SQLite would stop reading and the driver would
/// not, and a `PRAGMA` that is on neither list.
pub fn checked(sql: &str) -> Result<&str, SqlError> {
    // As the driver does it: what it takes away must not be part of a word here.
    let sql = sql.trim();
    if sql.len() > STATEMENT_MAX {
        return Err(SqlError::Refused(format!(
            "the statement is longer than {STATEMENT_MAX} bytes; \
             send it in parts, and values as parameters"
        )));
    }
    if sql.contains('\0') {
        return Err(SqlError::Refused(
            "the statement holds a NUL byte; send the value as a parameter".to_owned(),
        ));
    }
    let mut tokens = Tokens::new(sql);
    let mut at_start = true;
    while let Some(token) = tokens.next() {
        at_start = match token {
            Token::Semicolon => true,
            Token::Word(word) if at_start && is_one_of(word, &["EXPLAIN", "QUERY", "PLAN"]) => true,
            Token::Word(word) if at_start && is_one_of(word, &["PRAGMA"]) => pragma(&mut tokens)?,
            _ => false,
        };
    }
    Ok(sql)
}

/// Looks at what follows the word, and tells whether the statement has ended with it.
fn pragma(tokens: &mut Tokens<'_>) -> Result<bool, SqlError> {
    let mut name = tokens.next();
    let mut next = tokens.next();
    if next == Some(Token::Dot) {
        name = tokens.next();
        next = tokens.next();
    }
    let Some(Token::Word(name)) = name else {
        return Err(refused("PRAGMA with a name in quotes, or none, is refused"));
    };
    let is_question = matches!(next, None | Some(Token::Semicolon));
    let is_read = is_one_of(name, &READ);
    if is_one_of(name, &FREE) || (is_question && is_read) {
        return Ok(is_question);
    }
    Err(refused(&if is_read {
        format!("PRAGMA {name} can be asked, but not set")
    } else {
        format!("PRAGMA {name} is refused, since it can reach beyond this database")
    }))
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|one| word.eq_ignore_ascii_case(one))
}

fn refused(what: &str) -> SqlError {
    SqlError::Refused(format!(
        "{what}; a plugin has {}; and without a value {}",
        FREE.join(", "),
        READ.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(sql: &str) -> String {
        checked(sql).expect_err(sql).to_string()
    }

    #[test]
    fn a_pragma_is_found_wherever_it_stands() {
        for sql in [
            "PRAGMA hard_heap_limit=20000",
            "pragma\nmain . hard_heap_limit(1)",
            "EXPLAIN PRAGMA hard_heap_limit=1",
            "explain query plan PRAGMA hard_heap_limit=1",
            "SELECT 1; PRAGMA hard_heap_limit=1",
            ";;/* a */-- b\n;PRAGMA/**/hard_heap_limit=1",
            "PRAGMA user_version; PRAGMA hard_heap_limit=1",
            "PRAGMA user_version=1; PRAGMA hard_heap_limit=1",
            "PRAGMA user_version('; '); PRAGMA hard_heap_limit=1",
            "SELECT 'a'';', \"b\", [c'], `'`; PRAGMA hard_heap_limit=1 --'",
            "SELECT $x('); PRAGMA hard_heap_limit=1 --')",
            "SELECT 1 /*/ ' */; PRAGMA hard_heap_limit=1 --'",
            "\u{a0}PRAGMA hard_heap_limit=1",
            "\u{feff}PRAGMA hard_heap_limit=1",
            "PRAGMA hard_heap_limit=1\u{2003}",
        ] {
            let complaint = complaint(sql);
            assert!(
                complaint.starts_with("PRAGMA hard_heap_limit"),
                "{complaint}"
            );
            assert!(complaint.contains("user_version"), "{complaint}");
        }
        for sql in [
            "PRAGMA 'hard_heap_limit'=1",
            "PRAGMA [main].\"x\"",
            "PRAGMA",
            "PRAGMA;",
        ] {
            assert!(complaint(sql).contains("in quotes, or none"), "{sql}");
        }
        for sql in [
            "PRAGMA temp_store_directory='/etc'",
            "PRAGMA writable_schema=ON",
            "PRAGMA mmap_size",
        ] {
            assert!(complaint(sql).contains("beyond this database"), "{sql}");
        }
    }

    #[test]
    fn what_is_harmless_may_be_run() {
        for sql in [
            "",
            "SELECT 1",
            "PRAGMA table_info(t)",
            "PRAGMA main.table_info('t'); SELECT 1;",
            "PRAGMA USER_VERSION = 7",
            "EXPLAIN PRAGMA journal_mode;",
            "SELECT pragma FROM t; SELECT 'x; PRAGMA hard_heap_limit=1'",
            "SELECT 1 -- ; PRAGMA hard_heap_limit=1",
            "SELECT \"; PRAGMA hard_heap_limit=1\", [; PRAGMA x], `; PRAGMA y`",
        ] {
            assert_eq!(checked(sql), Ok(sql));
        }
        assert_eq!(checked("  SELECT 1\n"), Ok("SELECT 1"));
        assert!(complaint("PRAGMA journal_mode = wal").contains("not set"));
        assert!(complaint("PRAGMA main.page_size(512)").contains("not set"));
    }

    #[test]
    fn what_sqlite_would_read_in_another_way_is_refused() {
        assert!(complaint("SELECT 1\0; PRAGMA hard_heap_limit=1").contains("NUL"));
        let long = " ".repeat(STATEMENT_MAX);
        assert!(checked(&long).is_ok());
        assert!(complaint(&format!("SELECT {long} 1")).contains("longer than"));
    }
}
