-- Drawing line charts and histograms as SVG, from what describe_line.lua and describe_histogram.lua return.
local extent = require "gpt.plot.extent"
local scales = require "gpt.plot.scale"
local svg = require "gpt.plot.svg"
local neutral = require "gpt.support.neutral"

local DASHES = { "", ' stroke-dasharray="7 4"', ' stroke-dasharray="2 4"' }
local finite = extent.finite

local Chart = {}
Chart.__index = Chart

function Chart:px(x) return self.left + self.x.at(x) * self.plot_width end
function Chart:py(y) return self.top + (1 - self.y.at(y)) * self.plot_height end

-- The sides that title, legend, labels and ticks take. Each entry of the legend: where it stands.
function Chart:lay_out(o)
  self.legend, self.top = {}, o.title and 44 or 18
  local x, row = 0, 0
  for i, one in ipairs(o.series) do
    if one.name then
      local wide = 34 + svg.text_width(one.name, 13) + 16
      if x > 0 and x + wide > o.width - 40 then x, row = 0, row + 1 end
      table.insert(self.legend, { series = i, name = one.name, x = x, y = self.top + 8 + row * 20, width = wide })
      x = x + wide
    end
  end
  if #self.legend > 0 then self.top = self.top + (row + 1) * 20 + 10 end
  self.bottom = o.x_label and 56 or 34
  self.plot_height = math.max(40, o.height - self.top - self.bottom)
  local widest = 0
  for _, tick in ipairs(self.y.ticks) do widest = math.max(widest, svg.text_width(tick.label, 12)) end
  self.left = 20 + widest + (o.y_label and 22 or 0)
  self.plot_width = math.max(40, o.width - self.left - 24)
end

function Chart:draw_axes(out, o)
  local right, bottom = self.left + self.plot_width, self.top + self.plot_height
  for _, tick in ipairs(self.y.ticks) do
    local y = self:py(tick.value)
    out:line(self.left, y, right, y, "grid")
    out:text(self.left - 8, y + 4, tick.label, 12, "muted", "end")
  end
  for _, tick in ipairs(self.x.ticks) do
    local x = self:px(tick.value)
    out:line(x, bottom, x, bottom + 5, "axis")
    out:text(x, bottom + 20, tick.label, 12, "muted", "middle")
  end
  out:line(self.left, bottom, right, bottom, "axis")
  if o.x_label then out:text(self.left + self.plot_width / 2, bottom + 44, o.x_label, 13, "text", "middle") end
  if o.y_label then
    local y = self.top + self.plot_height / 2
    out:text(18, y, o.y_label, 13, "text", "middle", neutral.format('transform="rotate(-90 18 %.1f)"', y))
  end
end

local function dash_of(i) return DASHES[(i - 1) // svg.SERIES % #DASHES + 1] end
local function color_of(i) return (i - 1) % svg.SERIES + 1 end

-- Bars from the bottom: x has the edges, one more than there are bars.
function Chart:draw_bars(out, one, i)
  local bottom = self:py(0)
  for k = 1, #one.x - 1 do
    local x, y = self:px(one.x[k]), self:py(one.y[k])
    local wide = self:px(one.x[k + 1]) - x
    local place = ("%s to %s: %s"):format(scales.label(one.x[k]), scales.label(one.x[k + 1]), scales.label(one.y[k]))
    out:add('<rect x="%.2f" y="%.1f" width="%.2f" height="%.1f" class="mark%d"><title>%s</title></rect>', x, y,
      math.max(0.5, wide - (wide > 4 and 1 or 0)), bottom - y, color_of(i), place)
  end
end

-- Numbers that are not finite leave a gap. A number alone between gaps is a point.
function Chart:draw_series(out, one, i)
  if one.bars then return self:draw_bars(out, one, i) end
  local xs, ys = extent.thinned(one.x, one.y, math.floor(self.plot_width))
  local path, run, marks = {}, 0, {}
  for k = 1, #xs + 1 do
    if xs[k] and finite(xs[k]) and finite(ys[k]) then
      run = run + 1
      path[#path + 1] = neutral.format("%s%.1f %.1f", run == 1 and "M" or "L", self:px(xs[k]), self:py(ys[k]))
      if one.points then marks[#marks + 1] = k end
    else
      if run == 1 and not one.points then marks[#marks + 1] = k - 1 end
      run = 0
    end
  end
  out:add('<path d="%s" class="line%d" fill="none" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"%s/>',
    table.concat(path), color_of(i), dash_of(i))
  for _, k in ipairs(marks) do
    out:add('<circle cx="%.1f" cy="%.1f" r="3.5" class="mark%d"><title>%s: %s</title></circle>', self:px(xs[k]),
      self:py(ys[k]), color_of(i), scales.label(xs[k]), scales.label(ys[k]))
  end
end

function Chart:draw_legend(out)
  for _, entry in ipairs(self.legend) do
    local x, y = self.left + entry.x, entry.y
    out:add('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="line%d" stroke-width="3" stroke-linecap="round"%s/>',
      x, y - 4, x + 24, y - 4, color_of(entry.series), dash_of(entry.series))
    out:text(x + 34, y, entry.name, 13)
  end
end

-- Returns the SVG.
return function(o)
  local self, out = setmetatable({}, Chart), svg.document()
  local low, high = extent.of_series(o.series, "y")
  self.y = scales[o.y_scale](low, high, math.max(2, o.height // 75), true)
  low, high = extent.of_series(o.series, "x")
  self.x = scales[o.x_scale](low, high, math.max(2, o.width // 90), false, extent.all_whole(o.series))
  self:lay_out(o)
  if o.title then out:title(self.left, 28, o.title, o.width - self.left - 12) end
  self:draw_legend(out)
  self:draw_axes(out, o)
  for i, one in ipairs(o.series) do self:draw_series(out, one, i) end
  return out:finish(o.width, o.height, o.title)
end
