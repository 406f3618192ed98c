---@meta probe

---What the programs in the kernel count, and how they fare.
probe = {}

---A distribution.
---@class probe.histogram
local histogram = {}

---How many values were recorded.
---@return integer
function histogram:count() end

---The exact sum of the values.
---@return number
function histogram:sum() end

---The mean of the values.
---@return number?
function histogram:mean() end

---The value below which a share of all values lies.
---@param share number 0 to 1
---@return number?
function histogram:quantile(share) end

---What was recorded since an earlier look.
---@param earlier probe.histogram
---@return probe.histogram? between
---@return string? reason
function histogram:since(earlier) end

---Gives a distribution as it stands in the store.
---@param series string
---@param tags? metrics.tags
---@return probe.histogram? histogram
---@return string? reason
function probe.histogram(series, tags) end

---The value below which a share of the recorded values lies.
---@param series string
---@param share number 0 to 1
---@param seconds? number
---@param tags? metrics.tags
---@return number? value
---@return string? reason
function probe.quantile(series, share, seconds, tags) end

---Lists the counters of the programs in the kernel.
---@param pattern? string
---@return store.reading[]
function probe.counters(pattern) end

---Lists every series of the programs in the kernel.
---@param pattern? string
---@return store.reading[]
function probe.list(pattern) end

---Says how the programs in the kernel fare.
---@return {name: string, verdict: string, reason?: string, runs: integer, errors: integer, samples: integer, seconds: number}[]
function probe.status() end
