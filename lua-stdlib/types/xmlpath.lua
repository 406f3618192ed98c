---@meta xmlpath

---What a path finds in XML.
xmlpath = {}

---The texts of all nodes that a path finds.
---@param xml string
---@param path string
---@return string[]?
---@return string? message
function xmlpath.parse(xml, path) end
