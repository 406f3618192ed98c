-- Speeds of counters that may come from elsewhere from one run to the next.
--
-- `metrics.set_counter_speed` takes all that it is given under a key for one counter. Where a value can
-- come from another source (another file, another disk at the same place), the step from the one counter
-- to the other would be a speed, and a false one. Here a key begins anew when its source changes: nothing
-- is put until that source has been read twice. A counter that falls, and one that was left out of the
-- run before, begin anew as well.
--
--   local speeds = require("counter_speeds").new()
--   plugin.every(60, function()
--     speeds:set("example.reads", source, count)
--     speeds:finish()
--   end)

---@class counter_speeds
---@field private before table<string, table> what the run before had, by key
---@field private now table<string, table>
---@field private floor number below everything that was put so far
local counter_speeds = {}
counter_speeds.__index = counter_speeds

---Makes the memory of one plugin.
---@return counter_speeds
function counter_speeds.new()
  return setmetatable({before = {}, now = {}, floor = 0}, counter_speeds)
end

---Puts the speed of a counter, in its unit per second, once its source is known from the run before.
---@param key string
---@param source string whose counter it is
---@param count number
function counter_speeds:set(key, source, count)
  local before = self.before[key]
  local sum
  if before and before.source == source and count >= before.count then
    sum = before.sum + count - before.count
  else
    -- What falls has no speed. The clock is there for an earlier run of the plugin, whose sums the
    -- service still knows.
    self.floor = math.min(self.floor - 1, -time.unix())
    sum = self.floor
  end
  self.now[key] = {source = source, count = count, sum = sum}
  metrics.set_counter_speed(key, sum)
end

---Ends a run: what was not put in it is forgotten.
function counter_speeds:finish()
  self.before, self.now = self.now, {}
end

return counter_speeds
