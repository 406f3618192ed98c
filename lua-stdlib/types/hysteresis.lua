---@meta hysteresis

---Alarms that are neither raised nor cleared in haste.
hysteresis = {}

---@class hysteresis.alarm
local alarm = {}

---Takes a value; raises or clears the alarm when it is time.
---@param value number
---@param at? number seconds
---@return boolean raised
---@return boolean changed
function alarm:check(value, at) end

---Whether the alarm is raised.
---@return boolean
function alarm:raised() end

---Seconds since it was raised, cleared or first checked.
---@param at? number seconds
---@return number?
function alarm:since(at) end

---Makes an alarm.
---@param options {raise: number, clear?: number, raise_after?: number, clear_after?: number}
---@return hysteresis.alarm
function hysteresis.new(options) end
