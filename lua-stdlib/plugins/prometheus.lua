-- The page of metrics on ZaLua's port. The same is on Moonward's own HTTP door at /metrics.
local _, message = prometheus.listen(plugin.options.listen or ":2345")
if message then error(message, 0) end
while true do time.sleep(60) end
