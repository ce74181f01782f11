-- Line charts and histograms in the terminal: lines of braille dots, bars of eighths of a block. The description is
-- that of gpt.plot.line, which gives an SVG as well.
local Canvas = require "gpt.plot.terminal.canvas"
local dots = require "gpt.plot.terminal.dots"
local extent = require "gpt.plot.extent"
local scales = require "gpt.plot.scale"

local BARS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local MARKS = { "•", "x", "o", "+", "*", "#" } -- tell series apart where there are no colours
local MOST_LEGEND = 40                         -- columns of a name

local Chart = {}
Chart.__index = Chart

local function widest(ticks)
  local most = 0
  for _, tick in ipairs(ticks) do most = math.max(most, Canvas.columns(tick.label)) end
  return most
end

-- Where the plot's cells lie: columns left + 1 .. left + columns, rows top + 1 .. top + lines.
function Chart:lay_out(o)
  local low, high = extent.of_series(o.series, "y")
  self.y = scales[o.y_scale](low, high, math.max(2, self.lines // 4), true)
  self.left = widest(self.y.ticks) + 2
  self.columns = self.page.width - self.left - 1
  low, high = extent.of_series(o.series, "x")
  self.x = scales[o.x_scale](low, high, math.max(2, self.columns // 12), false, extent.all_whole(o.series))
end

-- Names that do not fit into one line go into the next.
function Chart:write_legend(o, y)
  local x, any = self.left, false
  for i, one in ipairs(o.series) do
    if one.name then
      local name = Canvas.cut(one.name, MOST_LEGEND)
      if x > self.left and x + Canvas.columns(name) + 3 > self.page.width then x, y = self.left, y + 1 end
      x = self.page:write(x, y, self:mark_of(o, one, i), self.page:series_color(i))
      x, any = self.page:write(x + 1, y, name) + 3, true
    end
  end
  return any and y + 1 or y
end

function Chart:mark_of(o, one, i)
  if one.bars then return "█" end
  return self.page.plain and #o.series > 1 and MARKS[(i - 1) % #MARKS + 1] or "━"
end

function Chart:write_head(o)
  local y = 1
  if o.title then
    self.page:write(self.left, y, Canvas.cut(o.title, self.page.width - self.left))
    y = y + 1
  end
  y = self:write_legend(o, y)
  if o.y_label then
    self.page:write(1, y, Canvas.cut(o.y_label, self.page.width), self.page:color "muted")
    y = y + 1
  end
  self.top = y - 1
end

function Chart:line_of(value)
  return self.top + self.lines - math.floor(self.y.at(value) * (self.lines - 1) + 0.5)
end

function Chart:column_of(value)
  return self.left + 1 + math.floor(self.x.at(value) * (self.columns - 1) + 0.5)
end

function Chart:draw_axes(o)
  local page, axis, muted = self.page, self.page:color "axis", self.page:color "muted"
  local bottom = self.top + self.lines + 1
  for y = self.top + 1, bottom - 1 do page:set(self.left, y, "│", axis) end
  for _, tick in ipairs(self.y.ticks) do
    local y = self:line_of(tick.value)
    page:set(self.left, y, "┤", axis)
    page:write_before(self.left - 2, y, tick.label, muted)
  end
  page:set(self.left, bottom, "└", axis)
  for x = self.left + 1, self.left + self.columns do page:set(x, bottom, "─", axis) end
  local free = self.left - 1
  for _, tick in ipairs(self.x.ticks) do
    local x, wide = self:column_of(tick.value), Canvas.columns(tick.label)
    local from = math.max(1, math.min(x - wide // 2, page.width - wide + 1))
    page:set(x, bottom, "┬", axis)
    if from > free then free = page:write(from, bottom + 1, tick.label, muted) end
  end
  if o.x_label then
    local label = Canvas.cut(o.x_label, self.columns)
    local x = self.left + 1 + (self.columns - Canvas.columns(label)) // 2
    page:write(x, bottom + 2, label, muted)
  end
end

-- Places in the plot, from 0, in a grid of so many points; NaN where a number is not finite.
function Chart:points_of(one, across, down)
  local xs, ys = extent.thinned(one.x, one.y, across)
  local points = {}
  for i, x in ipairs(xs) do
    local shown = extent.finite(x) and extent.finite(ys[i])
    points[i] = shown and { self.x.at(x) * (across - 1), (1 - self.y.at(ys[i])) * (down - 1) } or false
  end
  return points
end

function Chart:draw_dots(one, color)
  local grid = dots.new()
  grid:polyline(self:points_of(one, 2 * self.columns, 4 * self.lines))
  grid:each(2, 4, function(x, y, bits)
    self.page:set(self.left + 1 + x, self.top + 1 + y, utf8.char(0x2800 + bits), color)
  end)
end

function Chart:draw_marks(one, i)
  local grid = dots.new()
  grid:polyline(self:points_of(one, self.columns, self.lines))
  grid:each(1, 1, function(x, y) self.page:set(self.left + 1 + x, self.top + 1 + y, MARKS[(i - 1) % #MARKS + 1]) end)
end

-- The bars whose middle lies between two shares of the axis; else the one that lies there.
local function bars_in(one, from, to)
  local n = #one.x - 1
  local first, last = math.floor(from * n + 0.5) + 1, math.floor(to * n + 0.5)
  if first <= last then return math.max(1, first), math.min(n, last) end
  local at = math.max(1, math.min(n, math.floor((from + to) / 2 * n) + 1))
  return at, at
end

-- Bars from the bottom: x has the edges, one more than there are bars; the last y is no bar.
function Chart:draw_bars(one, color)
  for column = 1, self.columns do
    local first, last = bars_in(one, (column - 1) / self.columns, column / self.columns)
    local most = 0
    for i = first, last do most = math.max(most, one.y[i]) end
    local eighths = math.floor(self.y.at(most) * 8 * self.lines + 0.5)
    if most > 0 then eighths = math.max(eighths, 1) end
    for line = 1, self.lines do
      local rest = eighths - 8 * (line - 1)
      if rest > 0 then
        self.page:set(self.left + column, self.top + self.lines + 1 - line, BARS[math.min(rest, 8)], color)
      end
    end
  end
end

function Chart:draw(o)
  local coloured = not self.page.plain
  for i, one in ipairs(o.series) do
    local color = self.page:series_color(i)
    if one.bars then self:draw_bars(one, color)
    elseif coloured or #o.series == 1 then self:draw_dots(one, color)
    else self:draw_marks(one, i) end
  end
end

--- @tparam table o the description
--- @tparam table device what the terminal can (device.lua)
--- @int[opt] height lines of the plot itself
return function(o, device, height)
  local page = Canvas.new(device)
  local self = setmetatable({ page = page, lines = height or math.max(8, math.min(18, page.width // 5)) }, Chart)
  self:lay_out(o)
  self:write_head(o)
  self:draw_axes(o)
  self:draw(o)
  return page:text()
end
