--- Pictures: line charts, histograms and heat maps, in the terminal or as self-contained SVG files, readable on light
-- and on dark pages. `gpt.plot(values)` shows numbers at the prompt: a list or a tensor of one dimension as a line, one
-- of two or three dimensions as heat maps; options as for `plot.line` and `plot.heatmap` may follow.
-- @module gpt.plot
local checks = require "gpt.plot.checks"
local core = require "gpt.core"
local describe_heatmap = require "gpt.plot.describe_heatmap"
local describe_histogram = require "gpt.plot.describe_histogram"
local describe_line = require "gpt.plot.describe_line"
local name_list = require "gpt.support.name_list"
local picture = require "gpt.plot.picture"
local validate = require "gpt.support.validate"

local plot = {}

-- A picture for the terminal, or, where a file comes first, that file.
local function draw(who, kind, describe, file, options)
  if options == nil and type(file) ~= "string" then return picture.new(kind, describe(who, file, false)) end
  picture.check_file(who, file)
  local o = describe(who, options, true)
  return picture.write(picture.new(kind, o), file, o.width, o.height)
end

--- A line chart.
--
-- Numbers that are not finite leave a gap. Up to six series differ by colour, more of them also by dashes; where a
-- terminal has no colours, by the signs that they are drawn with.
-- @function plot.line
-- @tparam[opt] string file to write as SVG, all of it or nothing; without it the chart is for the terminal
-- @tparam table options `series`: a list of `{ y, x, name, points = true }`, where x and y are lists of numbers or
-- tensors of one dimension, and x counts from 1 if absent; or, for one series, `y` and `x` themselves; `x` may also be
-- given once for all series. `title`, `x_label`, `y_label`; `x_scale` and `y_scale` ("linear", or "log"); `width` (720)
-- and `height` (420) in pixels, in the terminal in columns (all) and lines
-- @treturn string|Picture the file's name; without a file a picture, which prints
-- @usage
-- local x = gpt.linspace(-3, 3, 100)
-- gpt.plot.line("gelu.svg", { title = "GELU", x = x, y = x:gelu() })
-- print(gpt.plot.line { title = "GELU", x = x, y = x:gelu() })
function plot.line(file, options) return draw("gpt.plot.line", "line", describe_line, file, options) end

--- A histogram: how many of the numbers lie in each of some ranges of the same width.
-- @function plot.histogram
-- @tparam[opt] string file to write as SVG, all of it or nothing; without it the histogram is for the terminal
-- @tparam table options `values`: a list of numbers or a tensor of any shape and size; `bins`: how many ranges (10 to
-- 60, by how many numbers there are); `low` and `high`, where the first begins and the last ends (at the least and the
-- greatest number); `title`, `x_label`, `y_label` ("count"); `width` and `height`, as for `plot.line`
-- @treturn string|Picture the file's name; without a file a picture, which prints
-- @usage print(gpt.plot.histogram { title = "normal", values = gpt.randn(1000) })
function plot.histogram(file, options)
  return draw("gpt.plot.histogram", "line", describe_histogram, file, options)
end

--- A heat map, or several side by side with one scale.
--
-- Larger numbers have a stronger colour; numbers below 0 have another colour. NaN is grey. In a terminal without
-- colours block characters stand for numbers above 0, and other signs for those below. Where there is no room for all
-- numbers, a cell of the terminal shows the one of several that is farthest from 0, and says so.
-- @function plot.heatmap
-- @tparam[opt] string file to write as SVG, all of it or nothing; without it the map is for the terminal
-- @tparam table options `values`: [rows, columns] or [panels, rows, columns], nested lists or a tensor, at most 256
-- rows and columns; `title`, `titles` (of the panels), `x_label`, `y_label`, `row_labels`, `column_labels`; `low` and
-- `high`, the numbers of the weakest and of the strongest colour (0, or the least below it, and the greatest); `numbers
-- = true` writes the numbers into the cells, `texts`, nested as `values` are, words; `width` (720), the maximum in
-- pixels, in the terminal in columns
-- @treturn string|Picture the file's name; without a file a picture, which prints
-- @usage gpt.plot.heatmap("mask.svg", { title = "who sees whom", values = gpt.ones(8, 8):tril() })
-- print(gpt.plot.heatmap { values = gpt.ones(8, 8):tril() })
function plot.heatmap(file, options) return draw("gpt.plot.heatmap", "heatmap", describe_heatmap, file, options) end

local function dimensions(values)
  if core.is_tensor(values) then return values:dim() end
  local first = type(values) == "table" and rawget(values, 1) or nil
  if first == nil then return 0 end
  return type(first) ~= "table" and 1 or type(rawget(first, 1)) == "table" and 3 or 2
end

local function with(options, name, values)
  local all = {}
  for key, value in pairs(options) do all[key] = value end
  all[name] = values
  return all
end

-- gpt.plot(values [, options])
local function of_values(_, values, options)
  local who, dims = "gpt.plot", dimensions(values)
  if dims < 1 or dims > 3 then
    checks.fail(who, "numbers expected, a list or a tensor of one to three dimensions, got %s; gpt.plot.line, "
      .. "gpt.plot.heatmap and gpt.plot.histogram write files",
      core.is_tensor(values) and "one of shape " .. name_list.shape(values:shape()) or validate.show(values))
  end
  options = validate.options(who, options)
  if dims == 1 then return picture.new("line", describe_line(who, with(options, "y", values), false)) end
  return picture.new("heatmap", describe_heatmap(who, with(options, "values", values), false))
end

return setmetatable(plot, { __call = of_values })
