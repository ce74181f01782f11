-- What a heat map is, from the options of gpt.plot.heatmap: { title, x_label, y_label, panels = { { title, rows, texts
-- } }, row_labels, column_labels, low, high, numbers, width }. All that draws it takes this.
local checks = require "gpt.plot.checks"
local core = require "gpt.core"
local items = require "gpt.support.items"
local name_list = require "gpt.support.name_list"
local validate = require "gpt.support.validate"

local fail, field = checks.fail, checks.field

local MOST_CELLS = 256 -- along one side

local function fields(file)
  return {
    field("values", checks.anything), field("titles", checks.anything), field("title", checks.text),
    field("x_label", checks.text), field("y_label", checks.text), field("row_labels", checks.anything),
    field("column_labels", checks.anything), field("low", checks.number), field("high", checks.number),
    field("numbers", validate.boolean), field("texts", checks.anything), (checks.size(file)),
  }
end

-- New rows of numbers, all of one length, from nested lists.
local function read_rows(who, where, given)
  local rows = {}
  if type(given) ~= "table" or rawlen(given) == 0 then
    fail(who, "%s: rows of numbers expected, got %s", where, validate.show(given))
  end
  for i, row in items(given) do
    rows[i] = checks.numbers(who, ("%s[%d]"):format(where, i), row)
    if #rows[i] ~= #rows[1] then
      fail(who, "%s[%d]: a row of %d numbers expected, got %d", where, i, #rows[1], #rows[i])
    end
  end
  if math.max(#rows, #rows[1]) > MOST_CELLS then
    fail(who, "%s: at most %d rows and columns fit a picture, got %d x %d: show a part of it", where, MOST_CELLS, #rows,
      #rows[1])
  end
  return rows
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
  for i, given in items(many and values or { values }) do
    local where = many and ("values[%d]"):format(i) or "values"
    local rows = read_rows(who, where, given)
    local first = panels[1] and panels[1].rows
    if first and (#rows ~= #first or #rows[1] ~= #first[1]) then
      fail(who, "%s: %d rows of %d expected, as in the first, got %d of %d", where, #first, #first[1], #rows, #rows[1])
    end
    panels[i] = { rows = rows }
  end
  return panels
end

-- Rows of words, one for each number of a panel.
local function check_texts(who, where, texts, rows)
  if type(texts) ~= "table" or #texts ~= #rows then
    fail(who, "%s: %d rows of text expected, as in values, got %s", where, #rows,
      type(texts) == "table" and #texts or validate.show(texts))
  end
  for i, row in items(texts) do checks.labels(who, ("%s[%d]"):format(where, i), row, #rows[1]) end
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

--- @string who begins messages
--- @param options as the user gave them
--- @bool file whether it goes into a file: sizes are pixels
return function(who, options, file)
  local o = checks.options(who, options, fields(file), "values")
  o.panels = read_panels(who, o.values)
  read_texts(who, o.texts, o.panels)
  checks.labels(who, "titles", o.titles, #o.panels)
  checks.labels(who, "row_labels", o.row_labels, #o.panels[1].rows)
  checks.labels(who, "column_labels", o.column_labels, #o.panels[1].rows[1])
  if o.low and o.high and o.low >= o.high then fail(who, "low (%g) must be below high (%g)", o.low, o.high) end
  for i, panel in ipairs(o.panels) do panel.title = o.titles and o.titles[i] end
  return o
end
