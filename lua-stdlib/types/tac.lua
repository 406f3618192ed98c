---@meta tac

---The lines of a file from the last to the first.
tac = {}

---@class tac.file
local file = {}

---Opens a file.
---@param path string
---@return tac.file
function tac.open(path) end

---The line before the one that was given last.
---@return string? line
---@return string? message
function file:line() end

---Closes the file.
function file:close() end
