---@meta window

---The last values of something.
window = {}

---@class window.values
local values = {}

---Adds a value.
---@param value number
---@param at? number seconds
function values:add(value, at) end

---How many values there are.
---@return integer
function values:count() end

---@return number
function values:sum() end

---@return number?
function values:mean() end

---@return number?
function values:min() end

---@return number?
function values:max() end

---The smallest value at or below which a share of all lies.
---@param share number 0 to 1
---@return number?
function values:quantile(share) end

---Makes a window of so many seconds.
---@param options number|{seconds?: number, count?: integer}
---@return window.values
function window.new(options) end
