---@meta yaml

---Reads YAML.
yaml = {}

---Reads YAML.
---@param text string
---@return any value
---@return string? message
function yaml.decode(text) end
