---@meta human

---Times as people say them.
human = {}

---A time as people say it, seen from now.
---@param seconds number Unix time
---@return string
function human.time(seconds) end
