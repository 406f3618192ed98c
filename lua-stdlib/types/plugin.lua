---@meta plugin

---What a plugin says about itself.
plugin = {}

---The plugin's name: its file's without `.lua`.
---@type string
plugin.name = ""

---Has a function run every so often.
---@param seconds number 0.1 to 86,400
---@param run fun()
function plugin.every(seconds, run) end

---What the configuration has for this plugin in `[plugin.NAME.options]`; empty when it has nothing.
---@type table<string, boolean|number|string|table>
plugin.options = {}

---Makes a plugin of another file, which this script runs and watches over. Its memory counts as this
---script's own.
---@param filename string
---@return plugin.handle
function plugin.new(filename) end

---A plugin that this script runs.
---@class plugin.handle
local handle = {}

---Runs it, unless it runs already.
function handle:run() end

---Has it end.
function handle:stop() end

---Whether it runs.
---@return boolean
function handle:is_running() end

---How its last run failed; nil when it did not.
---@return string?
function handle:error() end

---Whether it ended because it was told to.
---@return boolean
function handle:was_stopped() end

---Its file, as `plugin.new` was given it.
---@return string
function handle:filename() end
