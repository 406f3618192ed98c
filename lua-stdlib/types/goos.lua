---@meta goos

---Files' attributes and the size of a page.
goos = {}

---@class goos.attributes
---@field size integer bytes
---@field is_dir boolean
---@field mod_time integer Unix time in seconds

---Attributes of a file; a symbolic link is followed.
---@param path string
---@return goos.attributes?
function goos.stat(path) end

---The size of a page of memory in bytes.
---@return integer
function goos.pagesize() end

---The same as `goos.stat`.
---@param path string
---@return goos.attributes?
function os.stat(path) end

---The same as `goos.pagesize`.
---@return integer
function os.pagesize() end
