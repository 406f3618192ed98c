---@meta syscall

---What a file system has room for.
syscall = {}

---@class syscall.room
---@field size number bytes
---@field free number bytes
---@field avail number bytes for those who are not root
---@field files number inodes
---@field files_free number inodes

---What the file system that a path is on has room for.
---@param path string
---@return syscall.room? room
---@return string? message
function syscall.statfs(path) end
