-- What a ZaLua host has at /etc/zalua/init.lua does this: it keeps every *_plugin.lua beside it
-- running. Written for tests after a description of that script, which is not part of this project.
local period = 5
local directory = filepath.dir(debug.getinfo(1).source) .. "/plugins"

local plugins, sums, finished = {}, {}, {}
local error_count = 0

local function start(file, sum)
  local p = plugin.new(file)
  p:run()
  plugins[file], sums[file] = p, sum
end

local function forget(file)
  plugins[file]:stop()
  plugins[file], sums[file] = nil, nil
end

local function scan()
  local seen = {}
  for _, file in pairs(filepath.glob(directory .. "/*_plugin.lua")) do
    local content = ioutil.readfile(file)
    if content then
      seen[file] = true
      local sum = crypto.md5(content)
      if plugins[file] and sums[file] ~= sum then forget(file) end
      if not plugins[file] then start(file, sum) end
    end
  end
  for file in pairs(plugins) do
    if not seen[file] then forget(file) end
  end
end

local function look_after()
  for file, p in pairs(plugins) do
    if not p:is_running() then
      local message = p:error()
      if message then
        log.error(message)
        error_count = error_count + 1
        metrics.set("zalua.error.last", message)
        p:run()
      else
        finished[file] = (finished[file] or 0) + 1
        if finished[file] > 11 then
          finished[file] = 1
          forget(file)
        end
      end
    end
  end
end

while true do
  scan()
  look_after()
  metrics.set("zalua.error.count", error_count)
  time.sleep(period)
end
