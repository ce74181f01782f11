--- Pictures: line charts and heat maps as self-contained SVG files, readable on light and on dark pages.
-- @module gpt.plot
local core = require "gpt.core"
local draw_heatmap = require "gpt.plot.heatmap"
local draw_line = require "gpt.plot.line"
local name_list = require "gpt.support.name_list"
local validate = require "gpt.support.validate"
local neutral = require "gpt.support.neutral"
local items = require "gpt.support.items"

local plot = {}

local MOST_CELLS = 256 -- along one side of a heat map

local function fail(who, format, ...) core._raise(("%s: %s"):format(who, neutral.format(format, ...))) end

local function text(value)
  if type(value) == "string" then return value end
  return nil, "text"
end

local function number(value)
  if type(value) == "number" and value == value and math.abs(value) < math.huge then return value end
  return nil, "a finite number"
end

local function pixels(value)
  if math.type(value) == "integer" and value >= 200 and value <= 4000 then return value end
  return nil, "a whole number of pixels from 200 to 4,000"
end

local function anything(value) return value end

local function field(name, rule) return { name, rule, optional = true } end

local SCALE = validate.one_of { "linear", "log" }

local LINE = {
  field("series", anything), field("x", anything), field("y", anything), field("title", text), field("x_label", text),
  field("y_label", text), field("x_scale", SCALE), field("y_scale", SCALE), field("width", pixels),
  field("height", pixels),
}

local ONE_SERIES = {
  field("x", anything), field("y", anything), field("name", text), field("points", validate.boolean),
}

local HEATMAP = {
  field("values", anything), field("titles", anything), field("title", text), field("x_label", text),
  field("y_label", text), field("row_labels", anything), field("column_labels", anything), field("low", number),
  field("high", number), field("numbers", validate.boolean), field("texts", anything), field("width", pixels),
}

-- Options, not the numbers themselves; wanted: the option that takes those.
local function read_options(who, options, fields, wanted)
  if type(options) ~= "table" then
    fail(who, "a table of options expected, got %s; as in { %s = numbers }", validate.show(options), wanted)
  end
  if options[1] ~= nil then fail(who, "options are names, as in { %s = numbers }, got a list", wanted) end
  local values, problems = validate.read(options, fields)
  validate.raise(who, problems)
  return values
end

-- A list of numbers from a list or a tensor of one dimension; where: "series[1].y".
local function numbers_of(who, where, value)
  if core.is_tensor(value) then
    if value:dim() ~= 1 then
      fail(who, "%s: a tensor of one dimension expected, got one of shape %s", where, name_list.shape(value:shape()))
    end
    return value:totable()
  end
  if type(value) ~= "table" then
    fail(who, "%s: a list of numbers or a tensor of one dimension expected, got %s", where, validate.show(value))
  end
  for i, item in items(value) do
    if type(item) ~= "number" then fail(who, "%s[%d]: a number expected, got %s", where, i, validate.show(item)) end
  end
  if #value == 0 then fail(who, "%s: at least one number expected", where) end
  return value
end

local function count_up(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

local function check_log(who, where, values)
  for i, value in ipairs(values) do
    if value <= 0 then fail(who, "%s[%d] is %s: a log scale shows numbers above 0", where, i, validate.show(value)) end
  end
end

local function any_finite(xs, ys)
  for i, x in ipairs(xs) do
    if math.abs(x) < math.huge and math.abs(ys[i]) < math.huge then return true end
  end
  return false
end

local function read_series(who, o, where, given)
  if type(given) ~= "table" then
    fail(who, "%s: a table { y = numbers, name = text } expected, got %s", where, validate.show(given))
  end
  local one, problems = validate.read(given, ONE_SERIES)
  validate.raise(("%s: %s"):format(who, where), problems)
  one.y = numbers_of(who, where .. ".y", one.y)
  local x = one.x or o.x
  one.x = x and numbers_of(who, one.x and where .. ".x" or "x", x) or count_up(#one.y)
  if #one.x ~= #one.y then fail(who, "%s: %d numbers in x, but %d in y", where, #one.x, #one.y) end
  if o.x_scale == "log" then check_log(who, where .. ".x", one.x) end
  if o.y_scale == "log" then check_log(who, where .. ".y", one.y) end
  if not any_finite(one.x, one.y) then fail(who, "%s: no finite number to show", where) end
  return one
end

local function write(file, content)
  local writer <close> = core._file_writer(file)
  writer:write(content):commit()
end

local OTHER_PICTURES = { png = true, jpg = true, jpeg = true, gif = true, webp = true, bmp = true, pdf = true }

local function check_file(who, file)
  if type(file) ~= "string" or file == "" then
    fail(who, "a file name expected as first argument, got %s", validate.show(file))
  end
  if OTHER_PICTURES[file:lower():match "%.(%w+)$"] then
    fail(who, "pictures are SVG: a name that ends in .svg expected, got %s", validate.show(file))
  end
end

--- A line chart, written as SVG.
--
-- Numbers that are not finite leave a gap. Up to six series differ by colour, more of them also by dashes.
-- @function plot.line
-- @tparam string file to write, all of it or nothing
-- @tparam table options `series`: a list of `{ y, x, name, points = true }`, where x and y are lists of numbers or
-- tensors of one dimension, and x counts from 1 if absent; or, for one series, `y` and `x` themselves; `x` may also be
-- given once for all series. `title`, `x_label`, `y_label`; `x_scale` and `y_scale` ("linear", or "log"); `width` (720)
-- and `height` (420) in pixels
-- @treturn string the file's name
-- @usage
-- local x = gpt.linspace(-3, 3, 100)
-- gpt.plot.line("gelu.svg", { title = "GELU", x = x, y = x:gelu() })
function plot.line(file, options)
  local who = "gpt.plot.line"
  check_file(who, file)
  local o = read_options(who, options, LINE, "y")
  o.width, o.height = o.width or 720, o.height or 420
  o.x_scale, o.y_scale = o.x_scale or "linear", o.y_scale or "linear"
  local given = o.series or { { y = o.y } }
  if o.series ~= nil and (type(given) ~= "table" or #given == 0) then
    fail(who, "series: a list of { y = numbers, name = text } expected, got %s",
      type(given) == "table" and "no item" or validate.show(given))
  end
  local alone = o.series == nil
  o.series = {}
  for i, one in items(given) do
    o.series[i] = read_series(who, o, alone and "options" or ("series[%d]"):format(i), one)
  end
  write(file, draw_line(o))
  return file
end

-- Rows of numbers, all of one length, from nested lists.
local function check_rows(who, where, rows)
  if type(rows) ~= "table" or #rows == 0 then
    fail(who, "%s: rows of numbers expected, got %s", where, validate.show(rows))
  end
  for i, row in items(rows) do
    numbers_of(who, ("%s[%d]"):format(where, i), row)
    if #row ~= #rows[1] then
      fail(who, "%s[%d]: a row of %d numbers expected, got %d", where, i, #rows[1], #row)
    end
  end
  if math.max(#rows, #rows[1]) > MOST_CELLS then
    fail(who, "%s: at most %d rows and columns fit a picture, got %d x %d: show a part of it", where, MOST_CELLS, #rows,
      #rows[1])
  end
end

-- Panels from one table of numbers or from several.
local function read_panels(who, values)
  if core.is_tensor(values) then
    if values:dim() ~= 2 and values:dim() ~= 3 then
      fail(who, "values: a tensor [rows, columns] or [panels, rows, columns] expected, got one of shape %s",
        name_list.shape(values:shape()))
    end
    values = values:totable()
  end
  if type(values) ~= "table" or type(values[1]) ~= "table" then
    fail(who, "values: rows of numbers, or a tensor [rows, columns] or [panels, rows, columns] expected, got %s",
      validate.show(values))
  end
  local many = type(values[1][1]) == "table"
  local panels = {}
  for i, rows in items(many and values or { values }) do
    local where = many and ("values[%d]"):format(i) or "values"
    check_rows(who, where, rows)
    local first = panels[1] and panels[1].rows
    if first and (#rows ~= #first or #rows[1] ~= #first[1]) then
      fail(who, "%s: %d rows of %d expected, as in the first, got %d of %d", where, #first, #first[1], #rows, #rows[1])
    end
    panels[i] = { rows = rows }
  end
  return panels
end

local function check_labels(who, where, labels, count)
  if labels == nil then return end
  if type(labels) ~= "table" then fail(who, "%s: a list of text expected, got %s", where, validate.show(labels)) end
  if #labels ~= count then fail(who, "%s: %d expected, got %d", where, count, #labels) end
  for i, label in items(labels) do
    if type(label) ~= "string" then fail(who, "%s[%d]: text expected, got %s", where, i, validate.show(label)) end
  end
end

-- Rows of words, one for each number of a panel.
local function check_texts(who, where, texts, rows)
  if type(texts) ~= "table" or #texts ~= #rows then
    fail(who, "%s: %d rows of text expected, as in values, got %s", where, #rows,
      type(texts) == "table" and #texts or validate.show(texts))
  end
  for i, row in items(texts) do check_labels(who, ("%s[%d]"):format(where, i), row, #rows[1]) end
end

-- Gives each panel its texts.
local function read_texts(who, texts, panels)
  if texts == nil then return end
  local many = #panels > 1 or type(texts) == "table" and type(texts[1]) == "table" and type(texts[1][1]) == "table"
  if many and (type(texts) ~= "table" or #texts ~= #panels) then
    fail(who, "texts: those of %d panels expected, as in values, got %s", #panels,
      type(texts) == "table" and #texts or validate.show(texts))
  end
  for i, panel in ipairs(panels) do
    panel.texts = many and texts[i] or texts
    check_texts(who, many and ("texts[%d]"):format(i) or "texts", panel.texts, panel.rows)
  end
end

--- A heat map, or several side by side with one scale, written as SVG.
--
-- Larger numbers have a stronger colour; numbers below 0 have another colour. NaN is grey.
-- @function plot.heatmap
-- @tparam string file to write, all of it or nothing
-- @tparam table options `values`: [rows, columns] or [panels, rows, columns], nested lists or a tensor, at most 256
-- rows and columns; `title`, `titles` (of the panels), `x_label`, `y_label`, `row_labels`, `column_labels`; `low` and
-- `high`, the numbers of the weakest and of the strongest colour (0, or the least below it, and the greatest); `numbers
-- = true` writes the numbers into the cells, `texts`, nested as `values` are, words; `width` (720), the maximum in
-- pixels
-- @treturn string the file's name
-- @usage gpt.plot.heatmap("mask.svg", { title = "who sees whom", values = gpt.ones(8, 8):tril() })
function plot.heatmap(file, options)
  local who = "gpt.plot.heatmap"
  check_file(who, file)
  local o = read_options(who, options, HEATMAP, "values")
  o.width = o.width or 720
  o.panels = read_panels(who, o.values)
  read_texts(who, o.texts, o.panels)
  check_labels(who, "titles", o.titles, #o.panels)
  check_labels(who, "row_labels", o.row_labels, #o.panels[1].rows)
  check_labels(who, "column_labels", o.column_labels, #o.panels[1].rows[1])
  if o.low and o.high and o.low >= o.high then fail(who, "low (%g) must be below high (%g)", o.low, o.high) end
  for i, panel in ipairs(o.panels) do panel.title = o.titles and o.titles[i] end
  write(file, draw_heatmap(o))
  return file
end

return plot
