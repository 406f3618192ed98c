-- The processors' temperature, under ZaLua's keys, in degrees Celsius: the highest that any sensor of
-- a processor shows, and the one at which the hottest is critical.
--
-- ZaLua knew `coretemp` alone, at the place where kernels before 3.14 had it; its `temp_crit` was that
-- of whichever sensor came last, and without one it broke.
local chips = {"^coretemp", "^k8temp", "^k10temp", "^zenpower", "^cpu", "^soc", "^x86_pkg_temp"}

local function is_processor(chip)
  for _, pattern in ipairs(chips) do
    if chip:find(pattern) then return true end
  end
  return false
end

local function hottest()
  local found
  for _, sensor in ipairs(procfs.temperatures() or {}) do
    if is_processor(sensor.chip) and (not found or sensor.value > found.value) then found = sensor end
  end
  return found
end
if not hottest() then return end

plugin.every(plugin.options.interval or 10, function()
  local sensor = hottest()
  if not sensor then return end
  metrics.set("system.cpu.temp", sensor.value)
  if sensor.crit then metrics.set("system.cpu.temp_crit", sensor.crit) end
end)
