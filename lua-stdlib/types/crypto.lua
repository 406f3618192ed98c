---@meta crypto

---Checksums.
crypto = {}

---The MD5 sum in hexadecimal digits.
---@param text string
---@return string
function crypto.md5(text) end

---The SHA-256 sum in hexadecimal digits.
---@param text string
---@return string
function crypto.sha256(text) end
