---@meta filepath

---Parts of paths, and the files that fit a pattern.
filepath = {}

---The last element of a path.
---@param path string
---@return string
function filepath.base(path) end

---All but the last element of a path.
---@param path string
---@return string
function filepath.dir(path) end

---The last element of a path from its last dot on.
---@param path string
---@return string
function filepath.ext(path) end

---The files that fit a pattern.
---@param pattern string
---@return string[]? paths nil when the pattern is malformed
function filepath.glob(pattern) end
