-- Services of runit that do not run or that restart again and again, under ZaLua's key.
local directory = plugin.options.directory or "/etc/service"
local STEADY = 60
-- By service: how long it had run at the pass before, in seconds.
local before = {}

plugin.every(plugin.options.interval or 60, function()
  local problems, uptimes = {}, {}
  for _, path in ipairs(filepath.glob(directory .. "/*") or {}) do
    local name = filepath.base(path)
    local state = ioutil.readfile(path .. "/supervise/stat")
    if state ~= "run\n" then
      problems[#problems + 1] = "'" .. name .. "' был слинкован в /etc/services/, но не запущен"
    else
      local pid = goos.stat(path .. "/supervise/pid")
      local uptime = pid and time.unix() - pid.mod_time
      if uptime and uptime < STEADY and before[name] and before[name] < STEADY then
        problems[#problems + 1] = "'" .. name .. "' перезапускается"
      end
      uptimes[name] = uptime
    end
  end
  before = uptimes
  local text = "ok"
  if #problems > 0 then
    text = "Найдены проблемы с runit сервисами: " .. table.concat(problems, ", ")
  end
  metrics.set("runit.problem", text)
end)
