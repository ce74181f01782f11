-- The filters. A filter is called with the value, its arguments by position and by name, and the machine that runs the
-- template.
local bounds = require "gpt.jinja.bounds"
local fault = require "gpt.jinja.fault"
local json = require "gpt.jinja.json"
local methods = require "gpt.jinja.methods"
local operators = require "gpt.jinja.operators"
local values = require "gpt.jinja.values"

local list, strings = values.list, methods.strings

local WIDEST = 1000 -- margin of an indented text

local filters = {}

-- An argument by position or by its name.
local function argument(positional, named, i, name)
  if positional[i] ~= nil then return positional[i] end
  return named[name]
end

-- Filters that are a string's method.
for _, name in ipairs { "upper", "lower", "capitalize", "title" } do
  filters[name] = function(value) return strings[name](values.text(value)) end
end

function filters.trim(value, positional) return strings.strip(values.text(value), positional[1]) end

function filters.replace(value, positional)
  return strings.replace(values.text(value), values.text(positional[1]), values.text(positional[2]), positional[3])
end

function filters.length(value) return values.length(value) end
filters.count = filters.length

function filters.string(value) return values.text(value) end

function filters.int(value, positional)
  local kind = values.kind(value)
  if kind == "boolean" then return value and 1 or 0 end
  local number = tonumber(value) -- a float is cut
  if not number or number ~= number or math.abs(number) == math.huge then return positional[1] or 0 end
  return math.tointeger(number) or math.tointeger(number < 0 and math.ceil(number) or math.floor(number))
end

function filters.float(value, positional)
  local number = tonumber(values.kind(value) == "boolean" and (value and 1 or 0) or value)
  return number and number + 0.0 or positional[1] or 0.0
end

function filters.abs(value) return math.abs(operators.sign("+", value)) end

function filters.round(value, positional, named)
  local scale = 10 ^ (argument(positional, named, 1, "precision") or 0)
  local how = argument(positional, named, 2, "method") or "common"
  local scaled = operators.sign("+", value) * scale
  if how == "ceil" then return math.ceil(scaled) / scale end
  if how == "floor" then return math.floor(scaled) / scale end
  local whole = math.floor(scaled + 0.5)
  if scaled + 0.5 == whole and whole % 2 == 1 then whole = whole - 1 end -- halves go to the even one
  return whole / scale
end

function filters.default(value, positional, named)
  local otherwise = argument(positional, named, 1, "default_value")
  local boolean = argument(positional, named, 2, "boolean")
  if values.kind(value) == "undefined" or boolean and values.truth(boolean) and not values.truth(value) then
    return otherwise == nil and "" or otherwise
  end
  return value
end
filters.d = filters.default

function filters.tojson(value, positional, named)
  return json(value, { indent = argument(positional, named, 1, "indent"), separators = named.separators,
                       sort_keys = named.sort_keys })
end

local function items_of_dict(what, value)
  if values.kind(value) ~= "dict" then fault.raise(nil, "%s: a dict expected, got a %s", what, values.kind(value)) end
  return methods.dicts.items(value)
end

function filters.items(value)
  return values.kind(value) == "undefined" and list {} or items_of_dict("items", value)
end

function filters.list(value)
  local all = values.each(value)
  bounds.list(#all)
  return list(table.move(all, 1, #all, 1, {}))
end

-- The first item or character (index 0), or the last (-1).
local function at_end(index, what)
  return function(value)
    local item
    if type(value) == "string" then
      item = operators.item(value, index)
    else
      local all = values.each(value)
      item = all[index == 0 and 1 or #all]
    end
    return item == nil and values.undefined(what) or item
  end
end

filters.first, filters.last = at_end(0, "first"), at_end(-1, "last")

function filters.reverse(value)
  local all, items = values.each(value), {}
  bounds.list(#all)
  for i = 1, #all do items[i] = all[#all + 1 - i] end
  return values.kind(value) == "string" and table.concat(items) or list(items)
end

-- The value at a path such as "function.name" or 0.
local function at_path(item, path)
  if type(path) ~= "string" then return operators.item(item, path) end
  for name in path:gmatch "[^.]+" do
    bounds.step()
    bounds.work(name)
    item = operators.item(item, math.tointeger(tonumber(name)) or name)
    if item == nil then return nil end
  end
  return item
end

local function attribute_or_undefined(item, path)
  local value = at_path(item, path)
  if value == nil then return values.undefined(values.text(path)) end
  return value
end

-- The arguments behind those that a filter takes itself, for the filter or test that it runs on each item.
local function behind(positional, taken)
  bounds.list(#positional)
  return table.move(positional, taken + 1, #positional, 1, {})
end

function filters.join(value, positional, named)
  local separator, path = argument(positional, named, 1, "d"), argument(positional, named, 2, "attribute")
  local items = values.each(value)
  return bounds.join(#items, function(i)
    return values.text(path and attribute_or_undefined(items[i], path) or items[i])
  end, separator and values.text(separator) or "")
end

-- What map and its kind run through: what counts as false has no items.
local function items_of(value) return values.truth(value) and values.each(value) or {} end

function filters.map(value, positional, named, machine)
  local items, path, all, rest = {}, named.attribute, items_of(value), behind(positional, 1)
  bounds.list(#all)
  for i, item in ipairs(all) do
    bounds.step()
    if path then
      local found = at_path(item, path)
      if found == nil then found = named.default end
      items[i] = found == nil and values.undefined(values.text(path)) or found
    else
      items[i] = machine:filter(positional[1], item, rest, named)
    end
  end
  return list(items)
end

-- Keeps the items for which a test (or their truth) comes out as wanted.
local function kept(wanted, by_attribute)
  return function(value, positional, _, machine)
    local items, first = {}, by_attribute and 2 or 1
    local rest = behind(positional, first)
    for _, item in ipairs(items_of(value)) do
      bounds.step()
      local tested = item
      if by_attribute then tested = attribute_or_undefined(item, positional[1]) end
      local name, truth = positional[first]
      if name == nil then truth = values.truth(tested)
      else truth = machine:test(name, tested, rest) end
      if truth == wanted then items[#items + 1] = item end
    end
    bounds.list(#items)
    return list(items)
  end
end

filters.select, filters.reject = kept(true, false), kept(false, false)
filters.selectattr, filters.rejectattr = kept(true, true), kept(false, true)

local function folded(value)
  if type(value) ~= "string" then return value end
  bounds.text(#value)
  return value:lower()
end

-- A stable sort, whose comparison may be of any kind.
local function sorted(items, key, reverse)
  local order = {}
  bounds.list(#items)
  for i, item in ipairs(items) do
    bounds.step()
    bounds.list(4)
    order[i] = { item = item, key = key(item), at = i }
  end
  table.sort(order, function(a, b)
    if values.equal(a.key, b.key) then return a.at < b.at end
    if reverse then return operators.less(b.key, a.key) end
    return operators.less(a.key, b.key)
  end)
  for i, entry in ipairs(order) do order[i] = entry.item end
  return list(order)
end

function filters.sort(value, positional, named)
  local sensitive = argument(positional, named, 2, "case_sensitive")
  local path = argument(positional, named, 3, "attribute")
  return sorted(values.each(value), function(item)
    if path then item = attribute_or_undefined(item, path) end
    return sensitive and values.truth(sensitive) and item or folded(item)
  end, values.truth(argument(positional, named, 1, "reverse") or false))
end

function filters.dictsort(value, positional, named)
  local by = argument(positional, named, 2, "by") == "value" and 2 or 1
  return sorted(items_of_dict("dictsort", value), function(pair) return folded(pair[by]) end,
    values.truth(argument(positional, named, 3, "reverse") or false))
end

function filters.unique(value)
  local items = list {}
  for _, item in ipairs(values.each(value)) do
    bounds.step()
    if not operators.contains(items, item) then items[#items + 1] = item end
  end
  bounds.list(#items)
  return items
end

function filters.sum(value, positional, named)
  local path, total = argument(positional, named, 1, "attribute"), argument(positional, named, 2, "start") or 0
  for _, item in ipairs(values.each(value)) do
    bounds.step()
    total = operators.binary("+", total, path and attribute_or_undefined(item, path) or item)
  end
  return total
end

local function extreme(better)
  return function(value)
    local best
    for _, item in ipairs(values.each(value)) do
      bounds.step()
      if best == nil or better(item, best) then best = item end
    end
    return best == nil and values.undefined "extreme" or best
  end
end

filters.min = extreme(operators.less)
filters.max = extreme(function(a, b) return operators.less(b, a) end)

function filters.indent(value, positional, named)
  local width = argument(positional, named, 1, "width") or 4
  local first, blank = argument(positional, named, 2, "first"), argument(positional, named, 3, "blank")
  local margin = type(width) == "number" and (" "):rep(math.min(width, WIDEST)) or values.text(width)
  local whole = values.text(value)
  local text = bounds.replaced(whole, "\n([^\n]*)", function(line)
    return "\n" .. ((line ~= "" or blank and values.truth(blank)) and margin or "") .. line
  end)
  return (first and values.truth(first) and margin or "") .. text
end

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&#34;", ["'"] = "&#39;" }

function filters.escape(value)
  return bounds.replaced(values.text(value), "[&<>\"']", function(c) return ENTITIES[c] end)
end
filters.e = filters.escape

function filters.safe(value) return value end

function filters.wordcount(value)
  local count = select(2, values.text(value):gsub("[%w_\x80-\xff]+", ""))
  bounds.step(count >> 4)
  return count
end

function filters.format(value, positional) return operators.formatted(values.text(value), list(positional, true)) end

function filters.batch(value, positional)
  local rows, row, size = {}, nil, math.max(1, math.tointeger(positional[1]) or 1)
  local all = values.each(value)
  bounds.list(#all)
  for _, item in ipairs(all) do
    if not row or #row == size then
      bounds.part(#rows + 1, 2 * 48)
      row = list {}
      rows[#rows + 1] = row
    end
    row[#row + 1] = item
  end
  if positional[2] ~= nil then bounds.list(size) end
  while row and positional[2] ~= nil and #row < size do row[#row + 1] = positional[2] end
  return list(rows)
end

function filters.groupby(value, positional, named)
  local path = argument(positional, named, 1, "attribute")
  local groups, order = {}, filters.sort(value, {}, { attribute = path })
  for _, item in ipairs(order) do
    local key, last = attribute_or_undefined(item, path), groups[#groups]
    if not last or not values.equal(last[1], key) then
      bounds.list(4)
      last = list({ key, list {} }, true)
      groups[#groups + 1] = last
    end
    table.insert(last[2], item)
  end
  bounds.list(#order)
  return list(groups)
end

return filters
