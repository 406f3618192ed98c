-- Whether the clock is synchronised, under ZaLua's key: `ntpstat` is asked, by way of the runner.
--
-- `ok`, or what `ntpstat` says. Where there is no `ntpstat`, or no runner to start it, the key says that
-- it is not found; ZaLua took a missing program for a clock that is not synchronised. ZaLua then gave
-- up; here it is tried again. The option `command` is another command, which the runner has to allow too.
local NOT_FOUND = 127

plugin.every(plugin.options.interval or 60, function()
  local result = cmd.exec(plugin.options.command or "ntpstat")
  local text
  if not result or result.code == NOT_FOUND then
    text = "команда ntpstat не найдена"
  elseif result.code == 0 then
    text = "ok"
  else
    -- Without a daemon to ask, there are words on the other output alone.
    local words = result.stdout ~= "" and result.stdout or result.stderr
    text = "состояние синхронизации: " .. (strings.split(words, "\n")[1] or "")
  end
  metrics.set("ntp.stat", text)
end)
