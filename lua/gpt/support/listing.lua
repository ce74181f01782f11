-- Tables by name that come from files, and how they print: a name a line, long values and long tables folded.
local neutral = require "gpt.support.neutral"

local MOST_NAMES, EDGE = 60, 20 -- of a longer table both edges are shown
local MOST_TEXT = 60            -- bytes of a value

local show

-- Where a long string is cut: not amid a character.
local function cut_at(text)
  local last = MOST_TEXT
  while last > MOST_TEXT - 4 and text:find("^[\128-\191]", last + 1) do last = last - 1 end
  return last
end

local function show_string(text)
  local cut = #text > MOST_TEXT
  local quoted = ("%q"):format(cut and text:sub(1, cut_at(text)) or text):gsub("\\\n", "\\n")
  return cut and quoted .. " .. ..." or quoted
end

local function show_list(list)
  local shown, length = {}, 0
  for i, value in ipairs(list) do
    local text = show(value)
    length = length + #text + 2
    if length > MOST_TEXT then
      return ("{ %s... }"):format(table.concat(shown)), ("  -- %d items"):format(#list)
    end
    shown[i] = text .. (i < #list and ", " or "")
  end
  return #list == 0 and "{}" or ("{ %s }"):format(table.concat(shown))
end

function show(value)
  local kind = type(value)
  if kind == "string" then return show_string(value) end
  if math.type(value) == "float" then return neutral.format("%.6g", value) end
  if kind == "table" then return show_list(value) end
  return (tostring(value):gsub("\n.*", "")) -- of a tensor, what it is
end

-- Names in the order in which one counts: blk.2 before blk.10.
local function key_of(name)
  return (name:gsub("%d+", function(digits) return ("%012d"):format(math.tointeger(digits) or 0) end))
end

local function sorted_names(values)
  local names, keys = {}, {}
  for name in pairs(values) do names[#names + 1], keys[name] = name, key_of(tostring(name)) end
  table.sort(names, function(a, b) return keys[a] < keys[b] or keys[a] == keys[b] and tostring(a) < tostring(b) end)
  return names
end

local function show_name(name)
  return type(name) == "string" and name:find "^[%a_][%w_]*$" and name or ("[%s]"):format(show(name))
end

local function show_table(values, margin)
  local names, lines = sorted_names(values), { "{" }
  for i, name in ipairs(names) do
    if #names <= MOST_NAMES or i <= EDGE or i > #names - EDGE then
      local text, comment = show(values[name])
      lines[#lines + 1] = ("%s  %s = %s,%s"):format(margin, show_name(name), text, comment or "")
    elseif i == EDGE + 1 then
      lines[#lines + 1] = ("%s  -- and %d more"):format(margin, #names - 2 * EDGE)
    end
  end
  lines[#lines + 1] = margin .. "}"
  return #names > 0 and table.concat(lines, "\n") or "{}"
end

local listing = { __tostring = function(values) return show_table(values, "") end }

local file = {}

-- Shows the tables of a file, one after the other.
function file.__tostring(values)
  local lines = { "{" }
  for _, name in ipairs { "metadata", "tensors" } do
    lines[#lines + 1] = ("  %s = %s,"):format(name, show_table(values[name], "  "))
  end
  return table.concat(lines, "\n") .. "\n}"
end

local listings = {}

-- A plain table by name, which prints.
function listings.table(values) return setmetatable(values, listing) end

-- What a file holds: plain tables, which print.
-- @tparam table metadata by key
-- @tparam table tensors by name
-- @treturn table `{ metadata = , tensors = }`
function listings.file(metadata, tensors)
  return setmetatable({ metadata = listings.table(metadata), tensors = listings.table(tensors) }, file)
end

return listings
