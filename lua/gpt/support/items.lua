-- The items of a list that a user gave, as ipairs returns them, but read raw: a table whose __index always returns a
-- value ends, too.

local function next_item(list, i)
  local value = rawget(list, i + 1)
  if value ~= nil then return i + 1, value end
end

return function(list) return next_item, list, 0 end
