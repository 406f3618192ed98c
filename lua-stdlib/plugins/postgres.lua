-- PostgreSQL 9.6 to 17, under ZaLua's keys. Off where no server keeps its data, and where none listens.
--
-- It connects by the local socket, as the role of the operating system's user (`moonward`; ZaLua took
-- `root`); the options host, port, user, password, database and sslmode change that. The role wants
-- `GRANT pg_monitor TO moonward`; what it may not see is left out. For `postgres.time.*`,
-- `postgres.queries.count` and `.avg_time_ms` the extension pg_stat_statements has to be there.
--
-- As in ZaLua, but: `wal.*` works since PostgreSQL 10, and `time.*` since 13; `blks.hit_rate` is 0 when
-- everything was missed, where ZaLua said 100. Two keys keep since 10, where ZaLua had no values, what they
-- mean up to 9.6: `connections.waiting` counts who waits for the server, not who waits for a client, which
-- since 10 looks alike; `queries.long` leaves out the senders of replication, which since 10 are in the
-- list, with a statement that never ends.
local options = plugin.options
local port = options.port or 5432

-- Where a server listens; nothing when there is none.
local function place()
  if options.host then return options.host end
  if not (goos.stat("/var/lib/postgresql") or goos.stat("/var/lib/pgsql")) then return nil end
  for _, directory in ipairs({"/var/run/postgresql", "/tmp"}) do
    if goos.stat(directory .. "/.s.PGSQL." .. port) then return directory end
  end
end
if not place() then return end

local LONG = 4500
local database

local function connect()
  if database then return database end
  local message
  database, message = postgres.open({
    host = place() or "/var/run/postgresql", port = port,
    user = options.user or "moonward", password = options.password,
    database = options.database or "postgres", sslmode = options.sslmode or "disable",
    statement_timeout = 10, max_connections = 1,
  })
  if not database then error(message, 0) end
  return database
end

-- The rows of a statement; when it fails, so does this run, and the next one connects anew.
local function rows(statement, ...)
  local result, message = connect():rows(statement, ...)
  if not result then
    database:close()
    database = nil
    error(message, 0)
  end
  return result
end

-- The rows of a statement that may fail for lack of an extension or a right.
local function try(statement, ...)
  return connect():rows(statement, ...) or {}
end

local function speeds(prefix, row)
  for name, value in pairs(row or {}) do
    metrics.set_counter_speed(prefix .. name, tonumber(value) or 0)
  end
end

local function write_ahead_log(version, is_replica)
  if is_replica then
    local row = rows("select extract(epoch from now() - pg_last_xact_replay_timestamp()) as seconds")[1]
    metrics.set("postgres.wal.last_apply", math.max(0, tonumber(row.seconds) or 0))
  else
    -- A transaction, so that a replica has something to apply and its delay means something.
    try("select txid_current()")
    metrics.set("postgres.wal.last_apply", 0)
    local row = rows(version >= 100000
      and "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as bytes"
      or "select pg_xlog_location_diff(pg_current_xlog_location(), '0/0') as bytes")[1]
    metrics.set_counter_speed("postgres.wal.write_bytes_in_sec", tonumber(row.bytes) or 0)
  end
  local list = version >= 100000 and "pg_ls_waldir()" or "pg_ls_dir('pg_xlog')"
  local count = try("select count(*) as files from " .. list)[1]
  if count then metrics.set("postgres.wal.count", tonumber(count.files)) end
end

-- The statement for the sums over pg_stat_statements. The names of its columns are those of the
-- extension, which may be older than the server; its schema may be any.
local function sums_of_statements()
  local columns, view = {}, nil
  for _, row in ipairs(rows(
    "select quote_ident(n.nspname) as schema, a.attname::text as name from pg_extension e "
      .. "join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid "
      .. "join pg_class c on d.classid = 'pg_class'::regclass and d.objid = c.oid "
      .. "join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid "
      .. "where e.extname = 'pg_stat_statements' and c.relname = 'pg_stat_statements'"
  )) do
    columns[row.name], view = true, row.schema .. ".pg_stat_statements"
  end
  if not view then return nil end
  local total = columns.total_exec_time and "total_exec_time" or "total_time"
  local block = columns.shared_blk_read_time and "shared_blk" or "blk"
  return string.format(
    "select sum(%s_read_time) as read, sum(%s_write_time) as write, sum(%s) as total, sum(calls) as calls "
      .. "from %s", block, block, total, view
  )
end

local extension_tried = false
-- By a clock that nobody sets.
local calls_meter = rate.new()
local before
local function statements(is_replica)
  local statement = sums_of_statements()
  if not statement and not is_replica and not extension_tried then
    extension_tried = true
    try("create extension if not exists pg_stat_statements")
    statement = sums_of_statements()
  end
  local now = statement and try(statement)[1]
  if not now then return end
  for _, name in ipairs({"read", "write", "total", "calls"}) do now[name] = tonumber(now[name]) or 0 end
  metrics.set_counter_speed("postgres.time.disk_read_ms", now.read)
  metrics.set_counter_speed("postgres.time.disk_write_ms", now.write)
  metrics.set_counter_speed("postgres.time.other_ms", now.total - now.read - now.write)
  local calls_per_second = calls_meter:next(now.calls)
  if before then
    local calls, total = now.calls - before.calls, now.total - before.total
    if calls > 0 and total > 0 and calls_per_second then
      metrics.set("postgres.queries.count", calls_per_second)
      metrics.set("postgres.queries.avg_time_ms", total / calls)
    end
  end
  before = now
end

local function count(condition)
  local row = rows("select count(*) as n from pg_stat_activity where " .. condition)[1]
  return tonumber(row.n)
end

local function connections(version)
  local waits, no_sender = "wait_event is not null", ""
  if version >= 100000 then
    waits = waits .. " and wait_event_type not in ('Activity', 'Client', 'Extension', 'Timeout') "
      .. "and backend_type = 'client backend'"
    no_sender = " and backend_type <> 'walsender'"
  end
  metrics.set("postgres.connections.waiting", count(waits))
  metrics.set("postgres.connections.autovacuum", count(
    "query like '%autovacuum%' and state <> 'idle' and pid <> pg_backend_pid()"
  ))
  local states = {}
  for _, row in ipairs(rows("select state, count(*) as n from pg_stat_activity where state is not null group by state")) do
    states[row.state] = tonumber(row.n)
  end
  for _, state in ipairs({"active", "idle", "idle in transaction"}) do
    metrics.set("postgres.connections." .. state:gsub(" ", "_"), states[state] or 0)
  end
  local long = rows("select query, state, extract(epoch from now() - query_start)::bigint as age "
    .. "from pg_stat_activity where state <> 'idle' and pid <> pg_backend_pid()" .. no_sender
    .. " and now() - query_start > $1::bigint * interval '1 second' order by query_start",
    options.long or LONG)
  local text = "ok"
  if #long > 0 then
    text = "Найдено " .. #long .. " запрос(ов) которые запущены давно: "
    for _, row in ipairs(long) do
      text = text .. string.format(
        " `%s` в состоянии `%s` и запущен %s секунд назад.", row.query, row.state, tostring(row.age)
      )
    end
  end
  metrics.set("postgres.queries.long", text)
end

local modes = {
  "accessshare", "rowshare", "rowexclusive", "shareupdateexclusive", "share", "sharerowexclusive",
  "exclusive", "accessexclusive",
}
local function locks()
  local counts = {}
  for _, row in ipairs(rows("select lower(mode) as mode, count(*) as n from pg_locks group by 1")) do
    counts[row.mode] = tonumber(row.n)
  end
  for _, mode in ipairs(modes) do
    metrics.set("postgres.locks." .. mode, counts[mode .. "lock"] or 0)
  end
end

local blocks_before
local function databases()
  local sums = rows("select sum(blks_hit) as hit, sum(blks_read) as read from pg_stat_database")[1]
  local blocks = {hit = tonumber(sums.hit) or 0, read = tonumber(sums.read) or 0}
  speeds("postgres.blks.", blocks)
  local rate = 100
  if blocks_before then
    local hits, reads = blocks.hit - blocks_before.hit, blocks.read - blocks_before.read
    if hits >= 0 and reads > 0 then rate = 100 * hits / (hits + reads) end
  end
  metrics.set("postgres.blks.hit_rate", rate)
  blocks_before = blocks
  speeds("postgres.rows.", rows(
    "select sum(tup_returned) as returned, sum(tup_fetched) as fetched, sum(tup_inserted) as inserted, "
      .. "sum(tup_updated) as updated, sum(tup_deleted) as deleted from pg_stat_database"
  )[1])
  local discovered = {}
  for _, row in ipairs(rows("select datname::text as name, age(datfrozenxid) as age "
    .. "from pg_database where not datistemplate order by datname")) do
    -- One that may not be seen, or takes too long, costs itself.
    local size = try("select pg_database_size($1::text::name) as size", row.name)[1]
    if size then metrics.set("postgres.database.size[" .. row.name .. "]", tonumber(size.size)) end
    metrics.set("postgres.database.age[" .. row.name .. "]", tonumber(row.age))
    discovered[#discovered + 1] = {["{#DATABASE}"] = row.name}
  end
  metrics.set("postgres.database.discovery", json.encode({data = discovered}))
end

plugin.every(options.interval or 60, function()
  local server = rows("select current_setting('server_version_num') as version, pg_is_in_recovery() as replica")[1]
  local version = tonumber(server.version)
  write_ahead_log(version, server.replica)
  statements(server.replica)
  connections(version)
  locks()
  databases()
end)
