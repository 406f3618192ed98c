---@meta prometheus_counter_labels

---Numbers that only grow, one for each set of labels.
prometheus_counter_labels = {}
prometheus_counter_lables = prometheus_counter_labels

---@class prometheus_counter_labels.counter
local counter = {}

---Makes a collector.
---@param options prometheus.label_options
---@return prometheus_counter_labels.counter?
---@return string? message
function prometheus_counter_labels.new(options) end

---Adds one.
---@param labels prometheus.labels
function counter:inc(labels) end

---Adds to a number.
---@param labels prometheus.labels
---@param number number
function counter:add(labels, number) end
