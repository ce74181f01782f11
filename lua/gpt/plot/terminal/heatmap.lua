-- Heat maps in the terminal: cells of coloured half blocks, two rows in a line; without colours, shades of block
-- characters. The description is that of gpt.plot.heatmap, which gives an SVG as well.
local Canvas = require "gpt.plot.terminal.canvas"
local colors = require "gpt.plot.colors"
local extent = require "gpt.plot.extent"
local neutral = require "gpt.support.neutral"
local scales = require "gpt.plot.scale"

local MOST_LINES, LARGEST, MOST_PER_ROW, GAP = 48, 4, 4, 2
local ENOUGH_LINES = 30 -- cells are not made larger than that takes
local MOST_ROW_LABEL, MOST_UPRIGHT = 20, 12
local SHADES = { above = { " ", "░", "▒", "▓", "█" }, below = { " ", "·", "-", "=", "#" }, missing = { "?", "?" } }
local BAR = 24 -- columns of the scale below
local STRONG = 0.55 -- from here on dark text reads better on a cell, on the dark theme

local Map = {}
Map.__index = Map

-- Of more rows or columns than fit, each shown cell stands for `across` x `down` numbers: the one farthest from 0.
local function strongest(rows, i, k, down, across)
  local found
  for y = (i - 1) * down + 1, math.min(i * down, #rows) do
    for x = (k - 1) * across + 1, math.min(k * across, #rows[1]) do
      local value = rows[y][x]
      if found == nil or found ~= found or math.abs(value) > math.abs(found) then found = value end
    end
  end
  return found
end

local function shrunk(rows, down, across)
  if down == 1 and across == 1 then return rows end
  local small = {}
  for i = 1, math.ceil(#rows / down) do
    small[i] = {}
    for k = 1, math.ceil(#rows[1] / across) do small[i][k] = strongest(rows, i, k, down, across) end
  end
  return small
end

local function number_text(value)
  return value == value and neutral.format("%.2f", value):gsub("^%-", "−") or "nan"
end

-- What stands in the cells: words, or numbers; or nil.
local function texts_of(o, panel)
  if panel.texts then return panel.texts end
  if not o.numbers then return nil end
  local texts = {}
  for i, row in ipairs(panel.rows) do
    texts[i] = {}
    for k, value in ipairs(row) do texts[i][k] = number_text(value) end
  end
  return texts
end

local function widest(list)
  local most = 0
  for _, text in ipairs(list) do most = math.max(most, Canvas.columns(text)) end
  return most
end

-- How many columns a cell takes, of so many that there are for all; below 1 where they do not fit.
local function cell_width(room, columns, wanted)
  return math.min(wanted, room / columns)
end

-- Panels side by side, as many as leave each cell two columns; the largest cell that fits.
function Map:size_cells(o, rows, columns)
  local wanted = LARGEST
  for _, panel in ipairs(o.panels) do
    for _, row in ipairs(texts_of(o, panel) or {}) do wanted = math.max(wanted, widest(row) + 2) end
  end
  local room = self.page.width - self.left
  for per_row = math.min(#o.panels, MOST_PER_ROW), 1, -1 do
    self.per_row = per_row
    self.cell_width = cell_width((room + GAP) // per_row - GAP, columns, wanted)
    if self.cell_width >= 2 then break end
  end
  self.with_texts = (o.numbers or wanted > LARGEST) and self.cell_width >= math.min(wanted, 4)
  self:shrink(rows, columns)
end

-- Heights count half lines, or whole ones without colours.
function Map:shrink(rows, columns)
  local halves = self.page.plain and 1 or 2
  self.across = self.cell_width < 1 and math.ceil(1 / self.cell_width) or 1
  local most = MOST_LINES * halves
  self.down = math.max(1, math.ceil(rows / most), self.page.plain and 1 or self.across)
  self.rows, self.columns = math.ceil(rows / self.down), math.ceil(columns / self.across)
  self.cell_width = math.max(1, math.floor(self.cell_width))
  if self.with_texts then
    self.cell_height = halves
  elseif self.page.plain then
    self.cell_width, self.cell_height = math.min(2, self.cell_width), 1
  else
    self.cell_width = math.max(1, math.min(self.cell_width, ENOUGH_LINES * halves // self.rows))
    self.cell_height = self.cell_width
  end
  self.lines = math.ceil(self.rows * self.cell_height / halves)
end

function Map:rgb_of(value)
  local kind, strength = extent.shade(value, self.low, self.high)
  local device = self.page.device
  local rgb = colors.of_cell(kind, strength, device.theme, device.colors == "256")
  return rgb, kind == "missing" and 0 or strength
end

function Map:shade_of(value)
  local kind, strength = extent.shade(value, self.low, self.high)
  local shades = SHADES[kind]
  return shades[1 + math.floor(strength * (#shades - 1) + 0.5)]
end

-- The number at a place of a panel, counted in columns and in half lines (or lines) from 0; nil below its last row.
function Map:value_at(rows, x, half)
  local row = rows[half // self.cell_height + 1]
  return row and row[x // self.cell_width + 1]
end

-- A cell of two numbers above each other; the second may be missing, below the map.
function Map:set_halves(x, y, upper, lower)
  local above, below = self:rgb_of(upper), lower and self:rgb_of(lower) or nil
  local alike = below and table.concat(above, " ") == table.concat(below, " ")
  self.page:set(x, y, alike and " " or "▀", not alike and above or nil, below)
end

function Map:draw_coloured(rows, left, top)
  for line = 0, self.lines - 1 do
    for x = 0, self.columns * self.cell_width - 1 do
      local upper, lower = self:value_at(rows, x, 2 * line), self:value_at(rows, x, 2 * line + 1)
      if upper then self:set_halves(left + x, top + line, upper, lower) end
    end
  end
end

function Map:draw_plain(rows, left, top)
  for line = 0, self.lines - 1 do
    for x = 0, self.columns * self.cell_width - 1 do
      self.page:set(left + x, top + line, self:shade_of(self:value_at(rows, x, line)))
    end
  end
end

-- Words in their cells, over the cell's colour.
function Map:draw_texts(rows, texts, left, top)
  for i, row in ipairs(rows) do
    for k, value in ipairs(row) do
      local x, y = left + (k - 1) * self.cell_width, top + i - 1
      local background, strength, foreground
      if not self.page.plain then
        background, strength = self:rgb_of(value)
        foreground = self.page:color(strength > STRONG and "background" or "text")
      end
      local text = Canvas.cut(texts[i][k], self.cell_width - 1)
      for at = 0, self.cell_width - 1 do self.page:set(x + at, y, " ", nil, background) end
      self.page:write(x + (self.cell_width - Canvas.columns(text)) // 2, y, text, foreground, background)
    end
  end
end

function Map:draw_panel(o, panel, left, top)
  local texts = self.with_texts and self.across == 1 and self.down == 1 and texts_of(o, panel)
  local rows = shrunk(panel.rows, self.down, self.across)
  if texts then return self:draw_texts(rows, texts, left, top) end
  if self.page.plain then return self:draw_plain(rows, left, top) end
  self:draw_coloured(rows, left, top)
end

local function label_at(labels, i) return labels and labels[i] or tostring(i) end

-- One for each row that has a line of its own, without labels only some.
function Map:write_row_labels(o, top)
  local last, muted = nil, self.page:color "muted"
  local halves = self.page.plain and 1 or 2
  local every = o.row_labels and 1 or math.max(1, math.ceil(self.rows / 12))
  for i = 1, self.rows, every do
    local line = math.floor(((i - 0.5) * self.cell_height) / halves)
    if line ~= last then
      local label = Canvas.cut(label_at(o.row_labels, (i - 1) * self.down + 1), MOST_ROW_LABEL)
      self.page:write_before(self.left - 2, top + line, label, muted)
    end
    last = line
  end
end

-- Under the panel: side by side where all fit, words upright otherwise; numbers with gaps.
function Map:write_column_labels(o, left, top)
  local muted, free = self.page:color "muted", left - 1
  local upright = o.column_labels and widest(o.column_labels) >= self.cell_width and self.columns > 1
  for k = 1, self.columns do
    local label = label_at(o.column_labels, (k - 1) * self.across + 1)
    local x = left + (k - 1) * self.cell_width
    if upright then
      self:write_upright(x + (self.cell_width - 1) // 2, top, label, muted)
    else
      local from = x + math.max(0, (self.cell_width - Canvas.columns(label)) // 2)
      if from > free then free = self.page:write(from, top, label, muted) end
    end
  end
  return upright and math.min(MOST_UPRIGHT, widest(o.column_labels)) or 1
end

function Map:write_upright(x, top, label, color)
  local y = top
  for char in Canvas.cut(label, MOST_UPRIGHT):gmatch(utf8.charpattern) do
    self.page:write(x, y, char, color)
    y = y + 1
  end
end

-- Which colour stands for which number.
function Map:write_scale(y)
  local page, muted = self.page, self.page:color "muted"
  local function label(value) return scales.label(tonumber(neutral.format("%.3g", value))) end
  local x = page:write(self.left, y, label(self.low) .. " ", muted)
  for i = 0, BAR - 1 do
    local value = self.low + (self.high - self.low) * (i + 0.5) / BAR
    local background = not page.plain and self:rgb_of(value) or nil
    page:set(x + i, y, page.plain and self:shade_of(value) or " ", nil, background)
  end
  page:write(x + BAR, y, " " .. label(self.high), muted)
  if self.across * self.down > 1 then
    page:write(self.left, y + 1, ("a cell: the strongest of %d x %d"):format(self.down, self.across), muted)
  end
end

local function row_label_width(o, rows)
  if o.row_labels then return math.min(MOST_ROW_LABEL, widest(o.row_labels)) end
  return #tostring(rows)
end

-- A row of panels, from that line on; returns the line behind it.
function Map:draw_row_of_panels(o, first, y)
  local last, titled, deepest = math.min(first + self.per_row - 1, #o.panels), false, 0
  for number = first, last do titled = titled or o.panels[number].title ~= nil end
  local top = titled and y + 1 or y
  local pitch = self.columns * self.cell_width + GAP
  for number = first, last do
    local panel, left = o.panels[number], self.left + (number - first) * pitch
    if panel.title then self.page:write(left, y, Canvas.cut(panel.title, pitch - 1)) end
    self:draw_panel(o, panel, left, top)
    if number + self.per_row > #o.panels then
      deepest = math.max(deepest, self:write_column_labels(o, left, top + self.lines))
    end
  end
  self:write_row_labels(o, top)
  return top + self.lines + deepest + (deepest == 0 and 1 or 0)
end

--- @tparam table o the description
--- @tparam table device what the terminal can (device.lua)
return function(o, device)
  local page = Canvas.new(device)
  local self, y = setmetatable({ page = page }, Map), 1
  local rows, columns = #o.panels[1].rows, #o.panels[1].rows[1]
  self.low, self.high = extent.of_map(o)
  self.left = row_label_width(o, rows) + 2
  self:size_cells(o, rows, columns)
  if o.title then page:write(self.left, y, Canvas.cut(o.title, page.width - self.left)) end
  if o.title then y = y + 1 end
  if o.y_label then y = page:write(1, y, Canvas.cut("↓ " .. o.y_label, page.width), page:color "muted") and y + 1 end
  for first = 1, #o.panels, self.per_row do y = self:draw_row_of_panels(o, first, y) end
  if o.x_label then
    page:write(self.left, y, Canvas.cut("→ " .. o.x_label, page.width - self.left), page:color "muted")
    y = y + 1
  end
  self:write_scale(y)
  return page:text()
end
