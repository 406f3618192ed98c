---@meta mysql

---MySQL and MariaDB.
mysql = {}

---@class mysql.options
---@field host? string a name, an address or a socket
---@field port? integer 3306 by default
---@field database? string
---@field user? string
---@field password? string
---@field passwd? string ZaLua's name of `password`
---@field sslmode? "disable"|"allow"|"prefer"|"require"|"verify-ca"|"verify-full"
---@field sslrootcert? string path of a certificate
---@field connect_timeout? number seconds, 5 by default
---@field statement_timeout? number seconds
---@field max_connections? integer 2 by default

---@alias mysql.cell string|number|boolean|nil

---A database. Made by `mysql.open`.
---@class mysql.db
local db = {}

---Connects.
---@param options mysql.options
---@return mysql.db? db
---@return string? err
function mysql.open(options) end

---Runs a statement and gives its rows as lists.
---@param sql string
---@param ... mysql.cell parameters
---@return mysql.cell[][]? rows
---@return string? err
---@return integer? columns one more than there are
---@return integer? count one more than there are
function db:query(sql, ...) end

---Runs a statement and gives its rows as tables by the names of the columns.
---@param sql string
---@param ... mysql.cell parameters
---@return table<string, mysql.cell>[]? rows
---@return string? err
---@return number? affected
function db:rows(sql, ...) end

---Closes the connections.
function db:close() end
