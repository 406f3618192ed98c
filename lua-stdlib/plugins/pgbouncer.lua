-- PgBouncer 1.7 and later, under ZaLua's keys. Off where neither its configuration nor ZaLua's service
-- directory is, and where nobody listens; with the option `host` that is an error.
--
-- It asks the console at 127.0.0.1:6432 as `postgres`, who has to be in `stats_users` or `admin_users`;
-- the options host, port, user and password change that. Columns go by their names, because their
-- place has changed from version to version; times are microseconds there.
local options = plugin.options
local function is_here()
  return options.host or goos.stat("/etc/pgbouncer") or goos.stat("/etc/service/pgbouncer-6432")
end
if not is_here() then return end

local database
local function open()
  return postgres.open({
    host = options.host or "127.0.0.1", port = options.port or 6432,
    user = options.user or "postgres", password = options.password, database = "pgbouncer",
    max_connections = 1,
  })
end

local function connect()
  if database then return database end
  local message
  database, message = open()
  if not database then error(message, 0) end
  return database
end

if not options.host then
  local message
  database, message = open()
  if message and message:find("onnection refused") then return end
end

local function rows(command)
  local result, message = connect():rows(command)
  if not result then
    database:close()
    database = nil
    error(message, 0)
  end
  return result
end

-- The names of each column, and what one of ours is of it. PgBouncer 1.7 has no total_wait_time.
local sums = {
  ["query.count"] = {{"total_query_count", "total_requests"}, 1},
  received = {{"total_received"}, 1},
  sent = {{"total_sent"}, 1},
  ["query.total_time"] = {{"total_query_time"}, 1e6},
  ["query.wait_time"] = {{"total_wait_time"}, 1e6},
}

plugin.every(options.interval or 60, function()
  local stats = rows("show stats")
  for key, source in pairs(sums) do
    local sum, found = 0, false
    for _, row in ipairs(stats) do
      for _, column in ipairs(source[1]) do
        if row[column] then sum, found = sum + tonumber(row[column]), true end
      end
    end
    if found then metrics.set_counter_speed("pgbouncer." .. key, sum / source[2]) end
  end
  metrics.set("pgbouncer.clients.count", #rows("show clients"))
end)
