-- A page of character cells, each with a colour of its own and of its background, and how it becomes text.
local core = require "gpt.core"
local colors = require "gpt.plot.colors"

local Canvas = {}
Canvas.__index = Canvas

--- @tparam table device `width`, `colors`, `theme`
function Canvas.new(device)
  return setmetatable({ device = device, width = device.width, plain = device.colors == "none", rows = {} }, Canvas)
end

--- A colour by its name, as its three parts.
function Canvas:color(name) return colors.rgb(colors.NAMED[name][self.device.theme]) end

--- The colour of a series.
function Canvas:series_color(i)
  return colors.rgb(colors.SERIES[(i - 1) % #colors.SERIES + 1][self.device.theme])
end

--- Sets a cell: columns and rows count from 1. What is outside the page's width is left out.
function Canvas:set(x, y, char, foreground, background)
  if x < 1 or x > self.width or y < 1 then return end
  self.rows[y] = self.rows[y] or {}
  self.rows[y][x] = { char, foreground, background }
end

local SHOWN = { ["\n"] = "↵", ["\t"] = "→" }

-- The characters of a text as a terminal may get them.
local function characters(text)
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]", "?") end
  return text:gmatch(utf8.charpattern)
end

local function columns_of(char)
  if #char == 1 then return 1 end
  return core._character_width(utf8.codepoint(char))
end

--- How many columns a text takes.
function Canvas.columns(text)
  local count = 0
  for char in characters(text) do count = count + columns_of(char) end
  return count
end

--- As much of a text as fits.
function Canvas.cut(text, most)
  if Canvas.columns(text) <= most then return text end
  local parts, count = {}, 0
  for char in characters(text) do
    count = count + columns_of(char)
    if count > most - 1 then break end
    parts[#parts + 1] = char
  end
  return most > 0 and table.concat(parts) .. "…" or ""
end

--- Writes a text from a column on; returns the column behind it.
function Canvas:write(x, y, text, foreground, background)
  for char in characters(text) do
    local wide = columns_of(char)
    char = SHOWN[char] or char:find "%c" and "?" or char
    if wide > 0 then self:set(x, y, char, foreground, background) end
    for i = 1, wide - 1 do self:set(x + i, y, "", foreground, background) end
    x = x + wide
  end
  return x
end

--- Writes a text that ends in a column.
function Canvas:write_before(x, y, text, foreground)
  return self:write(x - Canvas.columns(text) + 1, y, text, foreground)
end

function Canvas:height()
  local most = 0
  for y in pairs(self.rows) do most = math.max(most, y) end
  return most
end

local function code_of(kind, rgb, depth)
  if not rgb then return nil end
  if depth == "256" then return ("%d;5;%d"):format(kind, colors.of_256(rgb)) end
  return ("%d;2;%d;%d;%d"):format(kind, rgb[1], rgb[2], rgb[3])
end

-- What switches to a cell's colours.
local function style_of(cell, depth)
  if depth == "none" or not cell then return "" end
  local codes = {}
  codes[#codes + 1] = code_of(38, cell[2], depth)
  codes[#codes + 1] = code_of(48, cell[3], depth)
  return #codes > 0 and ("\27[%sm"):format(table.concat(codes, ";")) or ""
end

local function last_of(row)
  local last = 0
  for x, cell in pairs(row) do
    if x > last and (cell[1] ~= " " or cell[3]) then last = x end
  end
  return last
end

local function line_of(row, depth)
  local parts, style = {}, ""
  for x = 1, last_of(row) do
    local cell = row[x]
    local wanted = style_of(cell, depth)
    if wanted ~= style then parts[#parts + 1] = (style ~= "" and "\27[0m" or "") .. wanted end
    style = wanted
    parts[#parts + 1] = cell and cell[1] or " "
  end
  return table.concat(parts) .. (style ~= "" and "\27[0m" or "")
end

--- The page as lines of text, without an end of line behind the last one.
function Canvas:text()
  local lines = {}
  for y = 1, self:height() do lines[y] = line_of(self.rows[y] or {}, self.device.colors) end
  return table.concat(lines, "\n")
end

return Canvas
