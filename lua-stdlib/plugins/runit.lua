-- Services of runit that do not run or that restart again and again, under ZaLua's key.
--
-- `ok`, also where there is no runit, or what is wrong with which service. A service restarts when it
-- has run for less than a minute now and at the run before. runit lets root alone look into
-- `supervise`; where it may not be read, that is said as an error, and no service is called dead for it.
local directory = plugin.options.directory or "/etc/service"
local STEADY = 60
-- By service: how long it had run at the pass before, in seconds.
local before = {}

local function state_of(path)
  local state = ioutil.readfile(path .. "/supervise/stat")
  if not state and goos.stat(path .. "/supervise") then
    local _, message = io.open(path .. "/supervise/stat")
    if message and message:find("ermission denied") then
      error(message .. "; let the user moonward read it (setfacl -m u:moonward:rx on supervise), "
        .. "or switch this plugin off ([plugin.runit] enabled = false)", 0)
    end
  end
  return state
end

plugin.every(plugin.options.interval or 60, function()
  local problems, uptimes = {}, {}
  for _, path in ipairs(filepath.glob(directory .. "/*") or {}) do
    local name = filepath.base(path)
    if state_of(path) ~= "run\n" then
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
