---@meta threshold

---Limits that values are held against.
threshold = {}

---@class threshold.limits
local limits = {}

---Says what level a value has reached.
---@param value number
---@return "ok"|"warning"|"critical"
function limits:check(value) end

---Makes limits.
---@param options {warn?: number, critical?: number, direction?: "above"|"below"}
---@return threshold.limits
function threshold.new(options) end
