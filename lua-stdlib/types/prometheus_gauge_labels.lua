---@meta prometheus_gauge_labels

---Values that go up and down, one for each set of labels.
prometheus_gauge_labels = {}

---@class prometheus_gauge_labels.gauge
local gauge = {}

---Makes a collector.
---@param options prometheus.label_options
---@return prometheus_gauge_labels.gauge?
---@return string? message
function prometheus_gauge_labels.new(options) end

---Sets a value.
---@param labels prometheus.labels
---@param number number
function gauge:set(labels, number) end

---Adds to a value.
---@param labels prometheus.labels
---@param number number
function gauge:add(labels, number) end
