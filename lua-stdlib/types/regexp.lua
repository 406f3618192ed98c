---@meta regexp

---Regular expressions as Go's package `regexp` writes them.
regexp = {}

---@class regexp.expression
local expression = {}

---Whether an expression fits anywhere in a text. The text comes first.
---@param text string
---@param expression string
---@return boolean?
---@return string? message
function regexp.match(text, expression) end

---Prepares an expression.
---@param expression string
---@return regexp.expression?
---@return string? message
function regexp.compile(expression) end

---Whether the expression fits anywhere in a text.
---@param text string
---@return boolean
function expression:match(text) end

---The first place where it fits; empty when there is none.
---@param text string
---@return string
function expression:find(text) end

---The first place where it fits; empty when there is none.
---@param text string
---@return string
function expression:find_string(text) end

---All places where it fits.
---@param text string
---@param most? integer
---@return string[]
function expression:find_all(text, most) end

---All places where it fits.
---@param text string
---@param most? integer
---@return string[]
function expression:find_all_string(text, most) end
