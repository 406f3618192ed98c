---@meta tcp

---Connections.
tcp = {}

---@class tcp.connection
local connection = {}

---Connects to a server.
---@param address string `host:port`
---@return tcp.connection?
---@return string? message
function tcp.open(address) end

---Sends a text.
---@param text string
---@return string? message
function connection:write(text) end

---Waits until something comes, and gives what there is.
---@param most? integer bytes, 65,536 by default
---@param seconds? number 5 by default
---@return string? text
---@return string? message
function connection:read(most, seconds) end

---Closes the connection.
function connection:close() end
