-- How the tables that the module returns print: as Lua, long ones with their middle left out. Where they have fields, a
-- misspelt one is an error.
local core = require "gpt.core"
local known_fields = require "gpt.support.known_fields"
local neutral = require "gpt.support.neutral"

local MOST_ITEMS, EDGE = 40, 15 -- of a longer array both edges are shown

local show

local function show_array(values)
  local shown, n = {}, #values
  for i = 1, n do
    if n <= MOST_ITEMS or i <= EDGE or i > n - EDGE then
      shown[#shown + 1] = show(values[i])
    elseif i == EDGE + 1 then
      shown[#shown + 1] = "..."
    end
  end
  return ("{ %s }%s"):format(table.concat(shown, ", "), n > MOST_ITEMS and ("  -- %d items"):format(n) or "")
end

local function show_fields(values)
  local names, shown = {}, {}
  for name in pairs(values) do names[#names + 1] = tostring(name) end
  neutral.sort(names)
  for i, name in ipairs(names) do shown[i] = ("%s = %s"):format(name, show(values[name])) end
  return ("{ %s }"):format(table.concat(shown, ", "))
end

function show(value)
  if type(value) == "string" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  if math.type(value) == "float" then return neutral.format("%.6g", value) end
  if value == core._json_null then return "null" end
  if type(value) ~= "table" then return (tostring(value):gsub("\n.*", " ...")) end -- of a tensor, what it is
  if next(value) == nil then return "{}" end
  return value[1] ~= nil and show_array(value) or show_fields(value)
end

core._printed.__tostring = show

local refuse = known_fields.index "this table"

local function is_name(key) return type(key) == "string" and key:find "^[%a_][%w_]*$" end

-- A list returns nil at any name, as all lists do; so does a table by names that are no identifiers, such as paths.
function core._printed.__index(self, key)
  if is_name(key) and type(next(self)) == "string" then return refuse(self, key) end
end

--- The same plain table, which prints.
return function(values) return setmetatable(values, core._printed) end
