-- TCP connections, under ZaLua's keys.
plugin.every(plugin.options.interval or 60, function()
  local tcp = assert(procfs.snmp()).Tcp
  if not tcp then return end
  for name, field in pairs({
    active = "ActiveOpens", passive = "PassiveOpens", failed = "AttemptFails",
    resets = "EstabResets", retransmit = "RetransSegs",
  }) do
    metrics.set_counter_speed("system.tcp." .. name, tcp[field])
  end
  metrics.set("system.tcp.established", tcp.CurrEstab)
end)
