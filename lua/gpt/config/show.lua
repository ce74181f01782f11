-- Configs as text: Lua that makes them.
local neutral = require "gpt.support.neutral"

local function show_number(value)
  if value ~= value then return "0/0" end
  if value == math.huge or value == -math.huge then return value > 0 and "math.huge" or "-math.huge" end
  if math.type(value) == "integer" then return tostring(value) end
  local short = neutral.format("%.14g", value)
  if tonumber(short) ~= value then short = neutral.format("%.17g", value) end
  return short:find("[.e]") and short or short .. ".0"
end

local show = {}

local show_table

--- Lua that makes a value of a config: a number, word, boolean, list or table.
function show.value(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "number" then return show_number(value) end
  if type(value) == "table" and getmetatable(value) == nil then return show_table(value) end
  return tostring(value)
end

local function show_key(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key end
  return ("[%s]"):format(show.value(key))
end

function show_table(value)
  local shown, fields = {}, {}
  for i = 1, #value do shown[i] = show.value(value[i]) end
  for key, item in pairs(value) do
    local listed = math.type(key) == "integer" and key >= 1 and key <= #value
    if not listed then fields[#fields + 1] = ("%s = %s"):format(show_key(key), show.value(item)) end
  end
  neutral.sort(fields)
  table.move(fields, 1, #fields, #shown + 1, shown)
  return #shown == 0 and "{}" or ("{ %s }"):format(table.concat(shown, ", "))
end

--- Lua that makes the config, keys in the order of a list, and what else was put into it after them.
function show.config(config, order)
  local lines, known, others = { "{" }, {}, {}
  for _, field in ipairs(order) do
    local name, value = field[1], rawget(config, field[1])
    known[name] = true
    if value ~= nil then lines[#lines + 1] = ("  %s = %s,"):format(name, show.value(value)) end
  end
  for key, value in pairs(config) do
    if not known[key] then others[#others + 1] = ("  %s = %s,"):format(show_key(key), show.value(value)) end
  end
  neutral.sort(others)
  table.move(others, 1, #others, #lines + 1, lines)
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n")
end

return show
