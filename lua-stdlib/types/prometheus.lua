---@meta prometheus

---More doors for `/metrics`.
prometheus = {}

---@class prometheus.door

---@class prometheus.options
---@field name string
---@field namespace? string
---@field subsystem? string
---@field help? string
---@field ttl? number seconds

---@class prometheus.label_options: prometheus.options
---@field labels string[]

---@alias prometheus.labels table<string, string|number|boolean>

---Has `/metrics` served at one more address, as long as the plugin runs.
---@param address string
---@return prometheus.door?
---@return string? message
function prometheus.listen(address) end
