-- What each keyword of JSON Schema adds to what is known of a value: a `flat`, which has
--
--   path              the first schema's, for messages
--   types             set of types, nil: any; "integer" is apart from "number", which has both
--   enum              values (values.lua)
--   parts             the schemas with keywords for objects: { properties, additional, path }
--   order, required   names in their order; set
--   lists             the schemas with keywords for arrays: { prefix, items, path }
--   bounds            low, high, low_open, high_open, of numbers
--   whole             of numbers, whole ones alone
--   length, count, members   least and most: of strings, arrays, objects
--   pattern, format   of strings, and their paths
--   number_format     the name of a format of numbers, which bounds and types have
local attempt = require "gpt.support.attempt"
local formats = require "gpt.grammar.schema.formats"
local json = require "gpt.support.json"
local validate = require "gpt.support.validate"
local values = require "gpt.grammar.schema.values"

local keywords = {}

local TYPES = { "string", "number", "integer", "object", "array", "boolean", "null" }
local known_types = {}
for _, name in ipairs(TYPES) do known_types[name] = true end

-- What says nothing about values.
keywords.annotations = {}
for name in ([[title description default examples example $comment $schema $anchor deprecated readOnly writeOnly
  $defs definitions $vocabulary]]):gmatch "%S+" do
  keywords.annotations[name] = true
end

-- The kind of value that a keyword is about.
keywords.kinds = {
  properties = "object", required = "object", additionalProperties = "object", minProperties = "object",
  maxProperties = "object", items = "array", prefixItems = "array", minItems = "array", maxItems = "array",
  additionalItems = "array", uniqueItems = "array", minLength = "string", maxLength = "string", pattern = "string",
  minimum = "number", maximum = "number", exclusiveMinimum = "number", exclusiveMaximum = "number",
  multipleOf = "number",
}

local apply = {}
keywords.apply = apply

local function whole(context, path, name, value)
  local number = type(value) == "number" and math.tointeger(value)
  if not number or number < 0 then
    context:fail(path, "%s: a whole number of at least 0 expected, got %s", name, validate.show(value))
  end
  return number
end

local function number(context, path, name, value)
  if type(value) ~= "number" or value ~= value or math.abs(value) == math.huge then
    context:fail(path, "%s: a number expected, got %s", name, validate.show(value))
  end
  return value
end

local function object(context, path, name, value)
  if not json.is_object(value) then context:fail(path, "%s: an object expected", name) end
  return value
end

local function list(context, path, name, value)
  if type(value) ~= "table" or not json.is_array(value) and next(value) ~= nil then
    context:fail(path, "%s: a list expected, got %s", name, validate.show(value))
  end
  return value
end

-- What a keyword has, checked as `check` does; nothing where it is not there. (false is there.)
local function optional(check, context, path, name, value)
  if value == nil then return {} end
  return check(context, path, name, value)
end

keywords.list, keywords.object = list, object

-- Both of two sets of types.
local function both(a, b)
  if not a then return b end
  local set = {}
  for name in pairs(a) do
    if b[name] or name == "integer" and b.number then set[name] = true end
  end
  if b.integer and a.number then set.integer = true end
  return set
end

function apply.type(context, flat, value, path)
  local set = {}
  for _, name in ipairs(type(value) == "string" and { value } or list(context, path, "type", value)) do
    if not known_types[name] then
      context:fail(path, "type: one of %s expected, got %s", table.concat(TYPES, ", "), validate.show(name))
    end
    set[name] = true
  end
  if set.number then set.integer = nil end
  flat.types = both(flat.types, set)
end

-- The values of a keyword of a schema, which are worked out once.
local function values_of(context, schema, keyword, list_of_values, path)
  local known = context.values[schema] or {}
  context.values[schema] = known
  if not known[keyword] then
    local ok, made = attempt(values.new, context, list_of_values)
    if not ok then context:fail(path, "enum or const: %s", tostring(made):gsub("^.-:%d+: ", "")) end
    known[keyword] = made
  end
  return known[keyword]
end

local function only(context, flat, these, path)
  if flat.enum then context:step(path, 0, math.min(#these, #flat.enum)) end
  flat.enum = flat.enum and values.common(flat.enum, these) or these
end

function apply.enum(context, flat, value, path, schema)
  only(context, flat, values_of(context, schema, "enum", list(context, path, "enum", value), path), path)
end

apply["const"] = function(context, flat, value, path, schema)
  only(context, flat, values_of(context, schema, "const", { value }, path), path)
end

apply["$id"] = function(context, _, _, path, schema) context:check_address(schema, path) end

local function least(name, value, range)
  range[name] = math.max(range[name] or value, value)
end

local function most(name, value, range)
  range[name] = math.min(range[name] or value, value)
end

local function range_of(field, side, name)
  return function(context, flat, value, path)
    flat[field] = flat[field] or {}
    local keep = side == "least" and least or most
    keep(side, whole(context, path, name, value), flat[field])
  end
end

for field, noun in pairs { length = "Length", count = "Items", members = "Properties" } do
  apply["min" .. noun] = range_of(field, "least", "min" .. noun)
  apply["max" .. noun] = range_of(field, "most", "max" .. noun)
end

-- The tighter of two bounds; of equal ones the open one.
local function tighten(bounds, side, value, open, sign)
  local old = bounds[side]
  if old and (sign > 0 and old > value or sign < 0 and old < value) then return end
  bounds[side .. "_open"] = open or old == value and bounds[side .. "_open"]
  bounds[side] = value
end

local function bounds_of(flat, path)
  flat.bounds = flat.bounds or { path = path }
  return flat.bounds
end

local function bound(name, side, sign, open)
  return function(context, flat, value, path)
    if type(value) == "boolean" then
      context:fail(path, "%s: a number expected (true and false are of JSON Schema's draft 4)", name)
    end
    tighten(bounds_of(flat, path), side, number(context, path, name, value), open, sign)
  end
end

apply.minimum = bound("minimum", "low", 1, false)
apply.maximum = bound("maximum", "high", -1, false)
apply.exclusiveMinimum = bound("exclusiveMinimum", "low", 1, true)
apply.exclusiveMaximum = bound("exclusiveMaximum", "high", -1, true)

function apply.multipleOf(context, flat, value, path)
  if number(context, path, "multipleOf", value) ~= 1 then
    context:fail(path, "multipleOf cannot be enforced, but for 1")
  end
  flat.whole = true
end

function apply.pattern(context, flat, value, path)
  if type(value) ~= "string" then context:fail(path, "pattern: a string expected, got %s", validate.show(value)) end
  if flat.pattern and flat.pattern ~= value then context:fail(path, "two patterns at once cannot be enforced") end
  flat.pattern, flat.pattern_path = value, path
end

local function apply_number_format(flat, format, name, path)
  flat.kinds.number, flat.number_format = true, name
  flat.whole = flat.whole or format.whole
  if not format.low then return end
  tighten(bounds_of(flat, path), "low", format.low, false, 1)
  tighten(bounds_of(flat, path), "high", format.high, false, -1)
end

function apply.format(context, flat, value, path)
  local of_numbers = formats.numbers[value]
  if of_numbers then return apply_number_format(flat, of_numbers, value, path) end
  if not formats.strings[value] then
    context:fail(path, "format: one of %s expected, got %s", formats.names(), validate.show(value))
  end
  if flat.format and flat.format ~= value then context:fail(path, "two formats at once cannot be enforced") end
  flat.kinds.string, flat.format, flat.format_path = true, value, path
end

local function part_of(context, flat, schema, path)
  local last = flat.parts[#flat.parts]
  if not last or last.schema ~= schema then
    last = {
      schema = schema, properties = optional(object, context, path, "properties", schema.properties),
      additional = schema.additionalProperties, path = path,
    }
    flat.parts[#flat.parts + 1] = last
  end
  return last
end

local function note_name(flat, name)
  if flat.named[name] then return end
  flat.named[name] = true
  flat.order[#flat.order + 1] = name
end

function apply.properties(context, flat, value, path, schema)
  part_of(context, flat, schema, path)
  local required = optional(list, context, path, "required", schema.required)
  local names = context.keys(value, required)
  context:step(path, 0, #names)
  for _, name in ipairs(names) do note_name(flat, name) end
end

function apply.additionalProperties(context, flat, _, path, schema) part_of(context, flat, schema, path) end

function apply.required(context, flat, value, path)
  context:step(path, 0, #list(context, path, "required", value))
  for _, name in ipairs(value) do
    if type(name) ~= "string" then context:fail(path, "required: names expected, got %s", validate.show(name)) end
    note_name(flat, name)
    flat.required[name] = true
  end
end

-- A list of items and additionalItems are how drafts up to 2019-09 write prefixItems and items.
local function list_of(context, flat, schema, path)
  local last = flat.lists[#flat.lists]
  if last and last.schema == schema then return end
  local prefix, items, more = schema.prefixItems, schema.items, schema.additionalItems
  local listed = json.is_array(items) and (#items > 0 or more ~= nil)
  if prefix ~= nil and json.is_array(items) then
    context:fail(path, "prefixItems beside a list of items cannot be enforced: items is one schema there")
  end
  if more ~= nil and more ~= true and not listed and (prefix ~= nil or items == nil) then
    context:fail(path, "additionalItems without a list of items cannot be enforced: write items")
  end
  if listed then prefix, items = items, more end
  list(context, path, "prefixItems", prefix or {})
  flat.lists[#flat.lists + 1] = { schema = schema, prefix = prefix or {}, items = items, path = path }
end

function apply.items(context, flat, _, path, schema) list_of(context, flat, schema, path) end

function apply.prefixItems(context, flat, _, path, schema) list_of(context, flat, schema, path) end

function apply.additionalItems(context, flat, _, path, schema) list_of(context, flat, schema, path) end

function apply.uniqueItems(context, flat, value, path)
  if value == true then flat.unique = path
  elseif value ~= false then context:fail(path, "uniqueItems: true or false expected, got %s", validate.show(value)) end
end

return keywords
