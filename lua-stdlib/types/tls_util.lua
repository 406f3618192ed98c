---@meta tls_util

---When the certificates of a server end.
tls_util = {}

---The earliest end of the certificates that a server's trust rests on.
---@param name string
---@param address? string `host:port`, `name:443` by default
---@return integer? ends Unix time in seconds
---@return string? message
---@return string? problem why the server cannot be trusted
function tls_util.cert_not_after(name, address) end
