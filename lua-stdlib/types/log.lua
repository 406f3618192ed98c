---@meta log

---Lines for the administrator.
log = {}

---Writes a line about something that went wrong.
---@param message string
function log.error(message) end

---Writes a line.
---@param message string
function log.info(message) end
