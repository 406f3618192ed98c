---@meta postgres

---PostgreSQL and pgbouncer.
postgres = {}

---@class postgres.options
---@field host? string a name, an address or the directory of a socket
---@field port? integer 5432 by default
---@field database? string
---@field user? string
---@field password? string
---@field passwd? string ZaLua's name of `password`
---@field sslmode? "disable"|"allow"|"prefer"|"require"|"verify-ca"|"verify-full"
---@field sslrootcert? string path of a certificate
---@field connect_timeout? number seconds, 5 by default
---@field statement_timeout? number seconds
---@field max_connections? integer 2 by default

---@alias postgres.cell string|number|boolean|nil

---A database. Made by `postgres.open`.
---@class postgres.db
local db = {}

---Connects.
---@param options postgres.options
---@return postgres.db? db
---@return string? err
function postgres.open(options) end

---Runs a statement and gives its rows as lists.
---@param sql string
---@param ... postgres.cell parameters
---@return postgres.cell[][]? rows
---@return string? err
---@return integer? columns one more than there are
---@return integer? count one more than there are
function db:query(sql, ...) end

---Runs a statement and gives its rows as tables by the names of the columns.
---@param sql string
---@param ... postgres.cell parameters
---@return table<string, postgres.cell>[]? rows
---@return string? err
---@return number? affected
function db:rows(sql, ...) end

---Closes the connections.
function db:close() end
