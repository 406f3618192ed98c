-- A gauge with labels, as ZaLua's plugins know it from `require "prometheus_gauge"`.
--
-- When there is a module `additional_prometheus_labels`, a table of names to values, every gauge
-- has these labels too.

---@class prometheus_gauge.helper
---@field private handle prometheus_gauge_labels.gauge?
---@field private problem string?
local gauge = {}
gauge.__index = gauge

---The labels that every gauge has.
---@return table<string, string>
local function additional_labels()
  local name = "additional_prometheus_labels"
  if not package.loaded[name] and not package.searchpath(name, package.path) then return {} end
  local labels = require(name)
  if type(labels) ~= "table" then error(name .. " returns no table", 3) end
  return labels
end

---The two arguments with the table behind the other, in whichever order they come.
local function sorted(value, labels)
  if type(value) == "table" then return labels, value end
  return value, labels
end

---Makes a gauge. When it cannot be made, `set` says why.
---@param options prometheus.options | prometheus.label_options
---@return prometheus_gauge.helper
function gauge:new(options)
  local all, copy = {}, {}
  for name, value in pairs(options or {}) do copy[name] = value end
  for _, label in ipairs(copy.labels or {}) do all[#all + 1] = label end
  local additional = additional_labels()
  for label in pairs(additional) do all[#all + 1] = label end
  copy.labels = all
  local handle, problem = prometheus_gauge_labels.new(copy)
  return setmetatable({handle = handle, problem = problem, additional = additional}, self)
end

---Sets a value; the labels may come before or behind it, or be left out.
---@param value number | prometheus.labels
---@param labels? prometheus.labels | number
function gauge:set(value, labels)
  value, labels = sorted(value, labels)
  if not self.handle then error(self.problem, 2) end
  local all = {}
  for name, text in pairs(self.additional) do all[name] = text end
  for name, text in pairs(labels or {}) do all[name] = text end
  self.handle:set(all, value)
end

---Sets the value of a metric without tags; does nothing when it is not there or no number.
---@param key string | prometheus.labels
---@param labels? prometheus.labels | string
function gauge:set_from_metrics(key, labels)
  key, labels = sorted(key, labels)
  local value = tonumber((metrics.get(key)))
  if value then self:set(value, labels) end
end

return gauge
