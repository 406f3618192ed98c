---@meta parser

---What became of ZaLua's parsers made by Go.
parser = {}

---Says what replaces it.
---@param path string
---@param symbol? string
---@return nil
---@return string message
function parser.load(path, symbol) end
