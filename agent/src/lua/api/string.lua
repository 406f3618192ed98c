-- The pattern functions of `string` on an engine whose work is bounded. Those that call back into
-- the script are Lua, so that what they call can wait and be stopped. Is given the host's parts:
-- each returns true and results, or false and a message.
local prepare_gmatch, prepare_gsub, step, replace = ...
local error, type, concat, sub = error, type, table.concat, string.sub

local function check(ok, first, ...)
  if ok then return first, ... end
  error(first, 3)
end

local function gmatch(subject, pattern)
  subject, pattern = check(prepare_gmatch(subject, pattern))
  local at = 0
  -- An empty match moves on by a byte, or it would be found for ever.
  local function take(ok, from, to, ...)
    if not ok then error(from, 3) end
    if not from then return nil end
    at = to > from and to or to + 1
    return ...
  end
  return function()
    local function results(...) return ... end
    return results(take(step(subject, pattern, at, false)))
  end
end

local function gsub(subject, pattern, replacement, most)
  local kind = type(replacement)
  if kind == "string" or kind == "number" then
    local result, count = check(replace(subject, pattern, replacement, most))
    return result, count
  end
  local anchored
  subject, pattern, most, anchored = check(prepare_gsub(subject, pattern, replacement, most))
  local function take(ok, from, to, ...)
    if not ok then error(from, 3) end
    if not from then return nil end
    if kind == "table" then return from, to, replacement[(...)] end
    return from, to, (replacement(...))
  end
  local pieces, length, count, at = {}, 0, 0, 0
  while count < most do
    local from, to, value = take(step(subject, pattern, at, true))
    if not from then break end
    count = count + 1
    local kind = type(value)
    if not value then
      value = sub(subject, from + 1, to)
    elseif kind ~= "string" and kind ~= "number" then
      error("invalid replacement value (a " .. kind .. ")", 2)
    end
    pieces[length + 1], pieces[length + 2] = sub(subject, at + 1, from), value
    length, at = length + 2, to
    if from == to then
      if at >= #subject then break end
      length, at = length + 1, at + 1
      pieces[length] = sub(subject, at, at)
    end
    if anchored then break end
  end
  pieces[length + 1] = sub(subject, at + 1)
  return concat(pieces), count
end

return gmatch, gsub
