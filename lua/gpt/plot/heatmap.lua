-- Drawing heat maps as SVG, from what describe_heatmap.lua returns. A cell's colour is laid
-- over the background as strongly as its number is large, so that it reads in light and dark; numbers below 0 have a
-- colour of their own.
local extent = require "gpt.plot.extent"
local scales = require "gpt.plot.scale"
local svg = require "gpt.plot.svg"
local neutral = require "gpt.support.neutral"

local MOST_PER_ROW, LARGEST_CELL, LINE, GAP = 4, 44, 22, 18
local TEXT = 11 -- the size of what stands in cells
local HIGH = 560 -- pixels: panels with text in their cells become flatter rather than higher
local STRONG = 0.7 -- from here on the background's colour reads better on a cell than the text's, in light and dark

local Map = {}
Map.__index = Map

-- The class and the strength, 0 .. 1, of a number's colour.
function Map:shade(value) return extent.shade(value, self.low, self.high) end

local function widest(labels, size)
  local most = 0
  for _, label in ipairs(labels) do most = math.max(most, svg.text_width(label, size)) end
  return most
end

-- Labels 1, 2, 3 ... where none are given.
local function labels_of(given, count)
  if given then return given end
  local labels = {}
  for i = 1, count do labels[i] = tostring(i) end
  return labels
end

-- How wide and high a cell is in so much room: a square, or, where words are written into it, or numbers into very many
-- rows, a line of text.
function Map:size_cells(o, room)
  local most = 0
  for _, panel in ipairs(o.panels) do
    for _, row in ipairs(panel.texts or {}) do most = math.max(most, widest(row, TEXT) + 8) end
  end
  self.cell_width = math.max(2, math.min(math.max(LARGEST_CELL, most), room))
  self.cell_height = most > 0 and LINE or math.min(self.cell_width, LARGEST_CELL)
  if o.numbers then self.cell_height = math.min(self.cell_height, math.max(LINE, HIGH / #o.panels[1].rows)) end
end

-- From one panel's left edge to the next: titles need room too.
local function pitch(panels, width)
  local most = width
  for _, panel in ipairs(panels) do
    if panel.title then most = math.max(most, svg.text_width(panel.title, 13)) end
  end
  return most + GAP
end

-- What stands beside the bar of colours: its ends, and 0 if that is apart from them; and how far down, 0 .. 1.
local function bar_marks(low, high)
  local marks = { { 0, high }, { 1, low }, labels = {} }
  local middle = high / (high - low)
  if middle > 0.15 and middle < 0.85 then marks[3] = { middle, 0 } end
  for i, mark in ipairs(marks) do marks.labels[i] = scales.label(tonumber(neutral.format("%.2g", mark[2]))) end
  return marks
end

function Map:lay_out(o)
  local rows, columns = #o.panels[1].rows, #o.panels[1].rows[1]
  self.row_labels, self.column_labels = labels_of(o.row_labels, rows), labels_of(o.column_labels, columns)
  self.per_row = math.min(#o.panels, MOST_PER_ROW)
  self.lines = math.ceil(#o.panels / self.per_row)
  self.left = 18 + widest(self.row_labels, 12) + 6 + (o.y_label and 22 or 0)
  self.marks = bar_marks(self.low, self.high)
  self.right = math.max(90, 44 + widest(self.marks.labels, 12))
  local room = (o.width - self.left - self.right - GAP * (self.per_row - 1)) / self.per_row
  self:size_cells(o, room / columns)
  self.panel_width, self.panel_height = self.cell_width * columns, self.cell_height * rows
  self.pitch = pitch(o.panels, self.panel_width)
  self.upright = widest(self.column_labels, 12) > self.cell_width - 4 and o.column_labels ~= nil
  self.label_height = self.upright and widest(self.column_labels, 12) + 12 or 22
  self.panel_top = o.panels[1].title and 24 or 4
  self.top = o.title and 46 or 16
  self.panels_width = self.per_row * self.pitch - GAP
  self.width = self.left + self.panels_width + self.right
  if o.title then
    self.width = math.max(self.width, math.min(o.width, self.left + svg.text_width(o.title, 16) + 24))
  end
  self.height = self.top + self.lines * (self.panel_top + self.panel_height + GAP) - GAP + self.label_height
    + (o.x_label and 30 or 12)
end

-- As much of a text as fits into its cell; half a number would be another one.
local function fitting(text, room, is_number)
  if svg.text_width(text, TEXT) <= room then return text end
  if is_number then return "" end
  local letters = math.floor(room / (0.6 * TEXT)) - 1
  return letters < 1 and "" or text:sub(1, (utf8.offset(text, letters + 1) or #text + 1) - 1) .. "…"
end

function Map:draw_cell(out, x, y, value, place, text)
  local class, strength = self:shade(value)
  local label = scales.label(value == value and tonumber(neutral.format("%.4g", value)) or 0)
  if value ~= value then label = "nan" end
  if value == math.huge or value == -math.huge then label = value > 0 and "inf" or "−inf" end
  local edge = math.min(self.cell_width, self.cell_height) > 8 and 1 or 0
  out:add('<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" class="%s" fill-opacity="%.3f">'
    .. '<title>%s: %s</title></rect>', x, y, self.cell_width - edge, self.cell_height - edge, class,
    strength, svg.escape(place), label)
  if not text or text == "" then return end
  out:text(x + self.cell_width / 2, y + self.cell_height / 2 + 4, text, TEXT, strength > STRONG and "inverse" or "text",
    "middle", 'pointer-events="none"')
end

-- What is written into a cell, if anything.
function Map:text_of(o, panel, i, k)
  local room = self.cell_width - 4
  if panel.texts then return fitting(panel.texts[i][k], room) end
  if not o.numbers then return nil end
  local value = panel.rows[i][k]
  return fitting(value == value and neutral.format("%.2f", value):gsub("^%-0%.00$", "0.00"):gsub("^%-", "−") or "nan",
    room, true)
end

-- What a reader is told who points at a cell.
function Map:place_of(panel, i, k)
  local place = self.row_labels[i] .. ", " .. self.column_labels[k]
  return panel.texts and ("%s: %s"):format(place, panel.texts[i][k]) or place
end

-- How many labels to pass over so that those left do not touch.
local function every(cell, size) return math.max(1, math.ceil(size / cell)) end

function Map:draw_row_labels(out, y)
  local step = every(self.cell_height, 14)
  for i = 1, #self.row_labels, step do
    out:text(self.left - 8, y + (i - 0.5) * self.cell_height + 4, self.row_labels[i], 12, "muted", "end")
  end
end

function Map:draw_column_labels(out, x, y)
  local step = every(self.cell_width, self.upright and 14 or widest(self.column_labels, 12) + 4)
  for i = 1, #self.column_labels, step do
    local at = x + (i - 0.5) * self.cell_width
    if self.upright then
      out:text(at + 4, y + 8, self.column_labels[i], 12, "muted", "end",
        neutral.format('transform="rotate(-90 %.1f %.1f)"', at + 4, y + 8))
    else
      out:text(at, y + 17, self.column_labels[i], 12, "muted", "middle")
    end
  end
end

function Map:draw_panel(out, o, number)
  local panel = o.panels[number]
  local column, line = (number - 1) % self.per_row, (number - 1) // self.per_row
  local x = self.left + column * self.pitch
  local y = self.top + line * (self.panel_top + self.panel_height + GAP) + self.panel_top
  if panel.title then out:text(x, y - 8, panel.title, 13) end
  for i, row in ipairs(panel.rows) do
    for k, value in ipairs(row) do
      self:draw_cell(out, x + (k - 1) * self.cell_width, y + (i - 1) * self.cell_height, value,
        self:place_of(panel, i, k), self:text_of(o, panel, i, k))
    end
  end
  out:add('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="grid" fill="none" stroke-width="1"/>', x - 0.5,
    y - 0.5, self.panel_width, self.panel_height)
  if column == 0 then self:draw_row_labels(out, y) end
  if number + self.per_row > #o.panels then self:draw_column_labels(out, x, y + self.panel_height) end
end

-- The bar that says which colour stands for which number.
function Map:draw_bar(out)
  local x = self.left + self.panels_width + 20
  local y, height = self.top + self.panel_top, math.min(180, math.max(60, self.panel_height))
  local middle = self.low < 0 and self.high > 0 and self.high / (self.high - self.low) or 1
  local top, top_strength = self:shade(self.high)
  local bottom, bottom_strength = self:shade(self.low)
  out:add('<defs><linearGradient id="gpt-plot-bar" x1="0" y1="0" x2="0" y2="1">'
    .. '<stop offset="0" class="stop-%s" stop-opacity="%.3f"/>'
    .. '<stop offset="%.3f" class="stop-%s" stop-opacity="%.3f"/>',
    top, top_strength, middle, top, 0)
  out:add('<stop offset="%.3f" class="stop-%s" stop-opacity="0"/>'
    .. '<stop offset="1" class="stop-%s" stop-opacity="%.3f"/></linearGradient></defs>', middle, bottom, bottom,
    bottom_strength)
  out:add('<rect x="%.1f" y="%.1f" width="12" height="%.1f" fill="url(#gpt-plot-bar)"/>', x, y, height)
  out:add('<rect x="%.1f" y="%.1f" width="12" height="%.1f" class="grid" fill="none"/>', x, y, height)
  for i, mark in ipairs(self.marks) do
    local down = mark[1]
    out:text(x + 18, y + down * height + (down == 0 and 10 or down == 1 and 0 or 4), self.marks.labels[i], 12, "muted")
  end
end

local function draw_labels(self, out, o)
  if o.title then out:title(self.left, 28, o.title, self.width - self.left - 12) end
  local middle = self.left + (self.panels_width - self.pitch + GAP + self.panel_width) / 2
  if o.x_label then out:text(middle, self.height - 12, o.x_label, 13, "text", "middle") end
  if o.y_label then
    local y = self.top + self.panel_top + self.panel_height / 2
    out:text(18, y, o.y_label, 13, "text", "middle", neutral.format('transform="rotate(-90 18 %.1f)"', y))
  end
end

-- Returns the SVG.
return function(o)
  local self, out = setmetatable({}, Map), svg.document()
  self.low, self.high = extent.of_map(o)
  self:lay_out(o)
  draw_labels(self, out, o)
  for number in ipairs(o.panels) do self:draw_panel(out, o, number) end
  self:draw_bar(out)
  return out:finish(math.ceil(self.width), math.ceil(self.height), o.title)
end
