-- The page of metrics on ZaLua's port, for whoever asks from this machine. The same is on Moonward's own
-- HTTP door at /metrics, where there is one.
--
-- ZaLua listened to everybody, without TLS or a password; the option `listen = ":2345"` does so again.
local _, message = prometheus.listen(plugin.options.listen or ":2345")
if message then error(message, 0) end
while true do time.sleep(3600) end
