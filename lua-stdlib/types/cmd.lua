---@meta cmd

---Programs, executed by the runner.
cmd = {}

---@class cmd.result
---@field stdout string
---@field stderr string
---@field code integer -1 when a signal ended it
---@field stdout_lost? integer bytes that were not kept
---@field stderr_lost? integer bytes that were not kept

---@class cmd.options
---@field timeout? number seconds, 10 by default
---@field stdin? string 64 KiB at most, the command included

---Has a program executed, and waits for its end.
---@param command string|string[]
---@param options? cmd.options
---@return cmd.result?
---@return string? message
function cmd.exec(command, options) end
