---@meta metrics

---Values in the store. Also called `metric`.
metrics = {}
metric = metrics

---@alias metrics.tags table<string, string|number>

---Puts a value into the store.
---@param key string
---@param value number|string
---@param ttl? integer|metrics.tags seconds that the value holds, 300 by default
---@param tags? metrics.tags|integer
function metrics.set(key, value, ttl, tags) end

---Puts the change of a value per second since the sample before it.
---@param key string
---@param value number|string
---@param ttl? integer|metrics.tags
---@param tags? metrics.tags|integer
function metrics.set_speed(key, value, ttl, tags) end

---The same for a counter: when it has gone down, nothing is put.
---@param key string
---@param value number|string
---@param ttl? integer|metrics.tags
---@param tags? metrics.tags|integer
function metrics.set_counter_speed(key, value, ttl, tags) end

---Reads a value.
---@param key string
---@param tags? metrics.tags
---@return string? value
---@return table<string, string>? tags
function metrics.get(key, tags) end

---Lists every value, sorted by series.
---@return {metric: string, value: string, tags: table<string, string>, at: integer}[]
function metrics.list() end

---Takes a value that a plugin has put out of the store.
---@param key string
---@param tags? metrics.tags
function metrics.delete(key, tags) end
