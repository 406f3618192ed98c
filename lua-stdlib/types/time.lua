---@meta time

---The clock, and pauses.
time = {}

---The Unix time in whole seconds.
---@return integer
function time.unix() end

---Pauses the plugin for whole seconds.
---@param seconds number
function time.sleep(seconds) end

---The Unix time in nanoseconds.
---@return number
function time.unix_nano() end

---Reads a time that is written like a layout of Go.
---@param layout string
---@param value string
---@return number? seconds Unix time
---@return string? message
function time.parse(layout, value) end
