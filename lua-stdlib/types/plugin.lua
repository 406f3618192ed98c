---@meta plugin

---What a plugin says about itself.
plugin = {}

---The plugin's name: its file's without `.lua`.
---@type string
plugin.name = ""

---Has a function run every so often.
---@param seconds number 0.1 to 86,400
---@param run fun()
function plugin.every(seconds, run) end
