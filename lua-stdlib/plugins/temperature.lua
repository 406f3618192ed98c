-- The processors' temperature, under ZaLua's keys, in degrees Celsius: the highest that any sensor
-- of a processor shows, and the limit at which that one is critical.
local chips = {coretemp = true, k10temp = true, zenpower = true, cpu_thermal = true}

plugin.every(plugin.options.interval or 10, function()
  local hottest
  for _, sensor in ipairs(procfs.temperatures() or {}) do
    if chips[sensor.chip] and sensor.value and (not hottest or sensor.value > hottest.value) then
      hottest = sensor
    end
  end
  if not hottest then return end
  metrics.set("system.cpu.temp", hottest.value)
  if hottest.crit then metrics.set("system.cpu.temp_crit", hottest.crit) end
end)
