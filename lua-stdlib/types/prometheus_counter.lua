---@meta prometheus_counter

---A number that only grows.
prometheus_counter = {}

---@class prometheus_counter.counter
local counter = {}

---Makes a collector.
---@param options prometheus.options
---@return prometheus_counter.counter?
---@return string? message
function prometheus_counter.new(options) end

---Adds one.
function counter:inc() end

---Adds to the number.
---@param number number
function counter:add(number) end
