---@meta store

---The store's values as they are, with what is known of them.
store = {}

---@class store.reading
---@field series string
---@field name string
---@field tags table<string, string>
---@field value number|string
---@field kind "gauge"|"counter"|"histogram"|"text"
---@field unit string
---@field rate? number change per second
---@field at number seconds since 1970
---@field expires_in number seconds
---@field source? string

---Reads a value.
---@param series string
---@param tags? metrics.tags
---@return store.reading?
function store.get(series, tags) end

---Finds the values whose series fit a pattern.
---@param pattern string
---@return store.reading[]
function store.find(pattern) end

---The change of a counter per second.
---@param series string
---@param tags? metrics.tags
---@return number?
function store.rate(series, tags) end

---The numbers that a series has had since somebody first asked.
---@param series string
---@param seconds? number|metrics.tags
---@param tags? metrics.tags|number
---@return {at: number, value: number}[]? points
---@return string? reason
function store.history(series, seconds, tags) end
