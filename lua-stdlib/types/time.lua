---@meta time

---The clock, and pauses.
time = {}

---The Unix time in whole seconds.
---@return integer
function time.unix() end

---Pauses the plugin for whole seconds.
---@param seconds number
function time.sleep(seconds) end
