-- Text that is the same in every locale of the host: Lua's own string.format, tostring and < ask it for the decimal
-- point and for the order of letters.
local core = require "gpt.core"

local neutral = {}

--- string.format, with a point in every number.
neutral.format = core._format

--- tostring, with a point in a number.
function neutral.tostring(value)
  return core._format("%s", value)
end

--- Sorts strings by their bytes.
function neutral.sort(list)
  table.sort(list, core._before)
end

return neutral
