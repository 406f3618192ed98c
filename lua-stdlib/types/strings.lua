---@meta strings

---Four functions of Go's package `strings`.
strings = {}

---The parts of a text between separators.
---@param text string
---@param separator string
---@return string[]
function strings.split(text, separator) end

---Whether a text begins with another.
---@param text string
---@param part string
---@return boolean
function strings.has_prefix(text, part) end

---Whether a text ends with another.
---@param text string
---@param part string
---@return boolean
function strings.has_suffix(text, part) end

---The text without those characters at its start and its end that are in a set.
---@param text string
---@param characters string
---@return string
function strings.trim(text, characters) end
