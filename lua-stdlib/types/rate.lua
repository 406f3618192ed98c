---@meta rate

---The speed of a counter.
rate = {}

---@class rate.meter
local meter = {}

---Takes the next value; gives the change per second, when it is known.
---@param value number
---@param at? number seconds
---@return number?
function meter:next(value, at) end

---Makes a meter for one counter.
---@return rate.meter
function rate.new() end
