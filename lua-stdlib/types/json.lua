---@meta json

---Reads and writes JSON.
json = {}

---Reads JSON. What is null is not there.
---@param text string
---@return any value
---@return string? message
function json.decode(text) end

---Writes JSON. An empty table is `null`.
---@param value any
---@return string? text
---@return string? message
function json.encode(value) end
