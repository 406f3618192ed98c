-- PgBouncer, under ZaLua's keys. Off where neither its configuration nor ZaLua's service directory is.
local options = plugin.options
local function is_here()
  return options.host or goos.stat("/etc/pgbouncer") or goos.stat("/etc/service/pgbouncer-6432")
end
if not is_here() then return end

local database
local function connect()
  if database then return database end
  local message
  database, message = postgres.open({
    host = options.host or "127.0.0.1", port = options.port or 6432,
    user = options.user or "postgres", password = options.password, database = "pgbouncer",
  })
  if not database then error(message, 0) end
  return database
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

-- By name: their place has changed from version to version. Times are microseconds.
local sums = {
  ["query.count"] = {"total_query_count", 1}, received = {"total_received", 1},
  sent = {"total_sent", 1}, ["query.total_time"] = {"total_query_time", 1e6},
  ["query.wait_time"] = {"total_wait_time", 1e6},
}

plugin.every(options.interval or 60, function()
  local stats = rows("show stats")
  for key, source in pairs(sums) do
    local column, divisor = source[1], source[2]
    local sum = 0
    for _, row in ipairs(stats) do sum = sum + (tonumber(row[column]) or 0) end
    metrics.set_counter_speed("pgbouncer." .. key, sum / divisor)
  end
  metrics.set("pgbouncer.clients.count", #rows("show clients"))
end)
