-- The page of metrics on ZaLua's port, beside Moonward's own HTTP door, which has the same at /metrics.
--
-- `:2345` meant all interfaces, without TLS or a password. Here it means all interfaces where the
-- section [http] of the configuration has `token_file`, `certificate` and `key`, which then guard this
-- door too; else this machine alone. The option `listen` is another address.
local _, message = prometheus.listen(plugin.options.listen or ":2345")
if message then error(message, 0) end
while true do time.sleep(3600) end
