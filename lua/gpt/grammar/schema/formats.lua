-- What format names.
local neutral = require "gpt.support.neutral"

local formats = {}

-- Of the years 1000 to 9999, by the Gregorian calendar.
local leap_year = "([1-9]\\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
local date = "([1-9]\\d{3}-((0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)|"
  .. leap_year .. "-02-29)"
local time = "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
local byte = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"

-- By name: a regular expression for (some of) the strings of a format.
formats.strings = {
  date = date, time = time, ["date-time"] = date .. "T" .. time,
  uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
  email = "[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,31})?@([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\\.){1,3}[a-z]{2,8}",
  ipv4 = ("%s\\.%s\\.%s\\.%s"):format(byte, byte, byte, byte),
}

-- By name, OpenAPI's formats of numbers: whole ones alone, with bounds. No number that is made is beyond the others'.
formats.numbers = {
  int32 = { whole = true, low = -2147483648, high = 2147483647 }, int64 = { whole = true }, double = {},
}

-- All names, for messages.
function formats.names()
  local names = {}
  for _, kind in pairs { formats.strings, formats.numbers } do
    for name in pairs(kind) do names[#names + 1] = name end
  end
  neutral.sort(names)
  return table.concat(names, ", ")
end

return formats
