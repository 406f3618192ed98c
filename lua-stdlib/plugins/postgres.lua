-- PostgreSQL 9.6 to 17, under ZaLua's keys. Off where no server keeps its data.
--
-- It connects as the operating system's user by the local socket; the options host, port, user,
-- password, database and sslmode change that. The role needs `pg_monitor`.
local options = plugin.options
local function is_here()
  return options.host or goos.stat("/var/lib/postgresql") or goos.stat("/var/lib/pgsql")
end
if not is_here() then return end

local LONG = 4500
local database

local function connect()
  if database then return database end
  local directory = "/tmp"
  if goos.stat("/var/run/postgresql/.s.PGSQL." .. (options.port or 5432)) then
    directory = "/var/run/postgresql"
  end
  local message
  database, message = postgres.open({
    host = options.host or directory, port = options.port or 5432,
    user = options.user or "moonward", password = options.password,
    database = options.database or "postgres", sslmode = options.sslmode or "disable",
    statement_timeout = 10,
  })
  if not database then error(message, 0) end
  return database
end

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
local function try(statement)
  return connect():rows(statement) or {}
end

local function counters(prefix, row)
  for name, value in pairs(row or {}) do
    metrics.set_counter_speed(prefix .. name, tonumber(value) or 0)
  end
end

local function write_ahead_log(version)
  local replica = rows("select pg_is_in_recovery() as yes")[1].yes
  local log, function_of = "wal", version >= 100000 and "wal_lsn" or "xlog_location"
  if version < 100000 then log = "xlog" end
  if replica then
    local row = rows("select extract(epoch from now() - pg_last_xact_replay_timestamp()) as seconds")[1]
    metrics.set("postgres.wal.last_apply", math.max(0, tonumber(row.seconds) or 0))
  else
    -- A transaction, so that a replica has something to apply and its delay means something.
    try("select txid_current()")
    metrics.set("postgres.wal.last_apply", 0)
    local current = version >= 100000 and "pg_current_wal_lsn()" or "pg_current_xlog_location()"
    local row = rows("select pg_" .. function_of .. "_diff(" .. current .. ", '0/0') as bytes")[1]
    metrics.set_counter_speed("postgres.wal.write_bytes_in_sec", tonumber(row.bytes) or 0)
  end
  local list = version >= 100000 and "pg_ls_waldir()" or "pg_ls_dir('pg_" .. log .. "')"
  local files = try("select count(*) as files from " .. list)[1]
  if files then metrics.set("postgres.wal.count", tonumber(files.files)) end
end

local extension_tried
local before
local function statements(version)
  if not extension_tried then
    extension_tried = true
    try("create extension if not exists pg_stat_statements")
  end
  local total = version >= 130000 and "total_exec_time" or "total_time"
  local block = version >= 170000 and "shared_blk" or "blk"
  local now = try(string.format(
    "select sum(%s_read_time) as read, sum(%s_write_time) as write, sum(%s) as total, sum(calls) as calls "
      .. "from pg_stat_statements", block, block, total
  ))[1]
  if not now then return end
  for name, value in pairs(now) do now[name] = tonumber(value) or 0 end
  metrics.set_counter_speed("postgres.time.disk_read_ms", now.read)
  metrics.set_counter_speed("postgres.time.disk_write_ms", now.write)
  metrics.set_counter_speed("postgres.time.other_ms", now.total - now.read - now.write)
  now.at = time.unix()
  if before then
    local calls, total_time, seconds = now.calls - before.calls, now.total - before.total, now.at - before.at
    if calls > 0 and total_time > 0 and seconds > 0 then
      metrics.set("postgres.queries.count", calls / seconds)
      metrics.set("postgres.queries.avg_time_ms", total_time / calls)
    end
  end
  before = now
end

local function connections(version)
  local waiting = version >= 90600 and "wait_event is not null" or "waiting"
  local backends = version >= 100000 and " and backend_type = 'client backend'" or ""
  local one = rows("select count(*) as n from pg_stat_activity where " .. waiting .. backends
    .. " and state <> 'idle'")[1]
  metrics.set("postgres.connections.waiting", tonumber(one.n))
  one = rows("select count(*) as n from pg_stat_activity where query like '%autovacuum%' "
    .. "and state <> 'idle' and pid <> pg_backend_pid()")[1]
  metrics.set("postgres.connections.autovacuum", tonumber(one.n))
  local states = {active = 0, idle = 0, ["idle in transaction"] = 0}
  for _, row in ipairs(rows("select state, count(*) as n from pg_stat_activity where state is not null group by state")) do
    states[row.state] = tonumber(row.n)
  end
  for state, count in pairs({
    active = states.active, idle = states.idle, idle_in_transaction = states["idle in transaction"],
  }) do
    metrics.set("postgres.connections." .. state, count)
  end
  local long = rows("select query, state, extract(epoch from now() - query_start)::bigint as age "
    .. "from pg_stat_activity where state <> 'idle' and pid <> pg_backend_pid() "
    .. "and now() - query_start > interval '" .. LONG .. " seconds' order by query_start")
  local text = "ok"
  if #long > 0 then
    local parts = {}
    for _, row in ipairs(long) do
      parts[#parts + 1] = string.format(
        " `%s` в состоянии `%s` и запущен %s секунд назад.", row.query, row.state, tostring(row.age)
      )
    end
    text = "Найдено " .. #long .. " запрос(ов) которые запущены давно:" .. table.concat(parts)
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
  local hit, read = tonumber(sums.hit) or 0, tonumber(sums.read) or 0
  counters("postgres.blks.", {hit = hit, read = read})
  local rate = 100
  if blocks_before then
    local hits, reads = hit - blocks_before.hit, read - blocks_before.read
    -- Nothing but misses is a rate of zero; ZaLua made it a hundred.
    if hits >= 0 and reads > 0 then rate = 100 * hits / (hits + reads) end
  end
  metrics.set("postgres.blks.hit_rate", rate)
  blocks_before = {hit = hit, read = read}
  counters("postgres.rows.", rows(
    "select sum(tup_returned) as returned, sum(tup_fetched) as fetched, sum(tup_inserted) as inserted, "
      .. "sum(tup_updated) as updated, sum(tup_deleted) as deleted from pg_stat_database"
  )[1])
  local discovered = {}
  for _, row in ipairs(rows("select datname, pg_database_size(datname) as size, age(datfrozenxid) as age "
    .. "from pg_database where not datistemplate and datallowconn order by datname")) do
    metrics.set("postgres.database.size[" .. row.datname .. "]", tonumber(row.size))
    metrics.set("postgres.database.age[" .. row.datname .. "]", tonumber(row.age))
    discovered[#discovered + 1] = {["{#DATABASE}"] = row.datname}
  end
  metrics.set("postgres.database.discovery", json.encode({data = discovered}))
end

plugin.every(options.interval or 60, function()
  local version = tonumber(rows("show server_version_num")[1].server_version_num)
  write_ahead_log(version)
  statements(version)
  connections(version)
  locks()
  databases()
end)
