//! That SQLite stays within its bounds: each script in a process of its own, since some of them are
//! those of the process.

#![expect(
    clippy::unwrap_used,
    reason = "an agent that does not start fails the test"
)]

/// What every script begins with.
const BEFORE: &str = r#"
local function open(path) return assert(sqlite.open{path = path or ":memory:", create = true, max_connections = 1}) end
local function refused(db, sql, text, ...)
  local rows, message = db:query(sql, ...)
  assert(rows == nil and message:find(text, 1, true), tostring(message))
end
local function peak()
  for line in io.lines("/proc/self/status") do
    local size = line:match("^VmHWM:%s*(%d+)")
    if size then return tonumber(size) / 1024 end
  end
end
"#;

/// Runs a script as `moonward exec` does.
#[expect(
    clippy::disallowed_methods,
    reason = "the test runs the agent that it tests"
)]
fn pass(script: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bounds.lua");
    std::fs::write(&path, format!("{BEFORE}{script}")).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_moonward-agent"))
        .arg("exec")
        .arg(&path)
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_bounds_are_compiled_in() {
    pass(
        r#"
        local db = open()
        local have = {}
        for _, row in ipairs(assert(db:query("PRAGMA compile_options"))) do have[row[1]] = true end
        for _, option in ipairs{
          "MAX_ATTACHED=0", "MAX_LENGTH=65536", "MAX_SQL_LENGTH=65536", "MAX_LIKE_PATTERN_LENGTH=1000",
          "MAX_FUNCTION_ARG=127", "MAX_EXPR_DEPTH=250", "DEFAULT_CACHE_SIZE=-512", "MAX_PAGE_COUNT=65536",
          "MAX_MEMORY=67108864",
        } do assert(have[option], option) end
        assert(db:query("PRAGMA hard_heap_limit")[1][1] == 67108864)
        assert(db:query("PRAGMA max_page_count")[1][1] == 16384)
        assert(db:query("PRAGMA cache_size")[1][1] == -512)
        "#,
    );
}

#[test]
fn a_value_has_a_size_and_memory_has_an_end() {
    pass(
        r#"
        local db = open()
        refused(db, "SELECT length(randomblob(65537))", "has at most 64 KiB")
        refused(db, "SELECT randomblob(?)", "has at most 64 KiB", 900000000)
        refused(db, "SELECT length(?)", "has at most 64 KiB", ("x"):rep(65537))
        assert(db:query("SELECT length(randomblob(65536))")[1][1] == 65536)
        -- Far more than there is, in one row.
        local values = ("randomblob(65536), "):rep(1900) .. "1"
        refused(db, "SELECT " .. values, "for all plugins together")
        refused(db, "SELECT " .. values .. " WHERE ?", "for all plugins together", 1)
        -- And it is free again, for this connection and for others.
        local some = "SELECT " .. ("randomblob(65536), "):rep(200) .. "1"
        for _ = 1, 3 do assert(open():query(some)) end
        assert(db:query(some))
        assert(peak() < 200, peak())
        "#,
    );
}

#[test]
fn databases_in_memory_take_little_of_it_and_end() {
    pass(
        r#"
        local fill = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < %d) INSERT INTO t SELECT randomblob(50000) FROM c"
        local kept = {}
        for number = 1, 3 do
          local db = open()
          kept[number] = db
          assert(db:query("CREATE TABLE t (x)"))
          assert(db:query(fill:format(800)))
          assert(db:query("SELECT sum(length(x)) FROM t")[1][1] == 40000000)
          refused(db, fill:format(800), "ends at 256 MiB")
          assert(db:query("SELECT count(*) FROM t")[1][1] == 800)
        end
        -- What is temporary has the bound of a file.
        local db = kept[1]
        assert(db:query("CREATE TEMP TABLE t AS SELECT 1"))
        refused(db, "INSERT INTO temp.t SELECT zeroblob(60000) FROM main.t a, main.t b LIMIT 6000", "ends at 256 MiB")
        assert(peak() < 120, peak())
        "#,
    );
}

#[test]
fn a_setting_of_the_process_stays() {
    pass(
        r#"
        local db = open()
        for _, sql in ipairs{
          "PRAGMA hard_heap_limit=20000", "PRAGMA soft_heap_limit=20000", "EXPLAIN PRAGMA hard_heap_limit=20000",
          "SELECT 1; PRAGMA hard_heap_limit=20000", "PRAGMA temp_store_directory='/etc'", "PRAGMA mmap_size=1000000000",
          "PRAGMA max_page_count=100000000", "PRAGMA cache_size=100000", "PRAGMA writable_schema=1", "PRAGMA temp_store=2",
          "PRAGMA journal_mode=memory", "PRAGMA locking_mode=exclusive", "PRAGMA threads=8",
        } do
          refused(db, sql, "a plugin has")
          refused(db, sql, "a plugin has", 1)
        end
        -- As functions they take no value: two say so, and for the others it is the name of a database.
        refused(db, "SELECT * FROM pragma_hard_heap_limit(20000)", "too many arguments")
        refused(db, "SELECT * FROM pragma_soft_heap_limit(20000)", "too many arguments")
        for name, value in pairs{hard_heap_limit = 67108864, soft_heap_limit = 67108864, max_page_count = 16384, cache_size = -512} do
          db:query("SELECT * FROM pragma_" .. name .. "(20000)")
          assert(db:query("SELECT * FROM pragma_" .. name)[1][1] == value, name)
        end
        assert(open():query("SELECT length(randomblob(60000))")[1][1] == 60000)
        "#,
    );
}

#[test]
fn a_path_is_no_address() {
    pass(
        r#"
        for _, path in ipairs{"file:/etc/passwd", "file:/etc/passwd?mode=ro", "file:moon.db?mode=rwc"} do
          local db, message = sqlite.open{path = path}
          assert(db == nil and message:find(path, 1, true) and message:find("unable to open", 1, true), message)
        end
        local db = assert(sqlite.open{path = "file:moon.db?mode=ro", create = true})
        assert(db:query("CREATE TABLE t (x)"))
        assert(io.open("file:moon.db?mode=ro"))
        "#,
    );
}

#[test]
fn patterns_arguments_and_nesting_have_an_end() {
    pass(
        r#"
        local db = open()
        refused(db, "SELECT 'a' LIKE printf('%.1001c', 'a')", "pattern too complex")
        refused(db, "SELECT 'a' GLOB printf('%.1001c', 'a')", "pattern too complex")
        refused(db, "SELECT max(1" .. (", 1"):rep(127) .. ")", "too many arguments")
        refused(db, "SELECT 1" .. (" + 1"):rep(250), "maximum depth 250")
        assert(db:query("SELECT 'a' LIKE printf('%.1000c', 'a'), max(1" .. (", 1"):rep(126) .. "), 1" .. (" + 1"):rep(200)))
        "#,
    );
}
