---@meta units

---The units of systemd, as the collector has last seen them.
units = {}

---@class units.unit
---@field name string
---@field state string
---@field active boolean
---@field at? number seconds since 1970

---Says how a unit is.
---@param name string
---@return units.unit? unit
---@return string? reason
function units.get(name) end

---Lists the units that are measured.
---@param pattern? string
---@return units.unit[]? units
---@return string? reason
function units.list(pattern) end

---Lists the units that have failed.
---@return units.unit[]? units
---@return string? reason
function units.failed() end
