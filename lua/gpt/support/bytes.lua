-- Bytes for people: 1234567890 as "1.15 GiB".
local neutral = require "gpt.support.neutral"

local UNITS = { "KiB", "MiB", "GiB", "TiB", "PiB" }

return function(bytes)
  local unit = 0
  while unit < #UNITS and bytes >= 1024 do bytes, unit = bytes / 1024, unit + 1 end
  if unit == 0 then return ("%d bytes"):format(bytes) end
  return neutral.format("%.2f %s", bytes, UNITS[unit])
end
