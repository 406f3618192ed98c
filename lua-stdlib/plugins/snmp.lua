-- TCP connections, under ZaLua's keys. The fields are found by name; ZaLua went by their place.
if not procfs.snmp() then return end

plugin.every(plugin.options.interval or 60, function()
  local tcp = assert(procfs.snmp()).Tcp or {}
  for name, field in pairs({
    active = "ActiveOpens", passive = "PassiveOpens", failed = "AttemptFails",
    resets = "EstabResets", retransmit = "RetransSegs",
  }) do
    if tcp[field] then metrics.set_counter_speed("system.tcp." .. name, tcp[field]) end
  end
  if tcp.CurrEstab then metrics.set("system.tcp.established", tcp.CurrEstab) end
end)
