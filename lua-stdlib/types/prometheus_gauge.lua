---@meta prometheus_gauge

---A value that goes up and down.
prometheus_gauge = {}

---@class prometheus_gauge.gauge
local gauge = {}

---Makes a collector.
---@param options prometheus.options
---@return prometheus_gauge.gauge?
---@return string? message
function prometheus_gauge.new(options) end

---Sets the value.
---@param number number
function gauge:set(number) end

---Adds to the value.
---@param number number
function gauge:add(number) end
