---@meta sqlite

---Files of SQLite.
sqlite = {}

---@class sqlite.options
---@field path string `:memory:` is a new database in memory
---@field writable? boolean
---@field create? boolean
---@field connect_timeout? number seconds, 5 by default
---@field statement_timeout? number seconds, 60 by default
---@field max_connections? integer 1 to 4, 2 by default

---@alias sqlite.cell string|number|boolean|nil

---A database. Made by `sqlite.open`.
---@class sqlite.db
local db = {}

---Connects.
---@param options sqlite.options
---@return sqlite.db? db
---@return string? err
function sqlite.open(options) end

---Runs a statement and gives its rows as lists.
---@param sql string
---@param ... sqlite.cell parameters
---@return sqlite.cell[][]? rows
---@return string? err
---@return integer? columns one more than there are
---@return integer? count one more than there are
function db:query(sql, ...) end

---Runs a statement and gives its rows as tables by the names of the columns.
---@param sql string
---@param ... sqlite.cell parameters
---@return table<string, sqlite.cell>[]? rows
---@return string? err
---@return number? affected
function db:rows(sql, ...) end

---Closes the connections.
function db:close() end
