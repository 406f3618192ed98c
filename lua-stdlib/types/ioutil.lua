---@meta ioutil

---Whole files.
ioutil = {}

---Reads a whole file.
---@param path string
---@return string? content
function ioutil.readfile(path) end

---Reads a whole file.
---@param path string
---@return string? content
function ioutil.read_file(path) end
