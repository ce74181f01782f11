-- Schemas to rules. A conjunction of schemas, all of which a value has to match, becomes a rule, so that one that leads
-- back to itself ends.
local Context = require "gpt.grammar.schema.context"
local containers = require "gpt.grammar.schema.containers"
local flatten = require "gpt.grammar.schema.flatten"
local literals = require "gpt.grammar.schema.literals"
local name_list = require "gpt.support.name_list"
local nodes = require "gpt.grammar.nodes"
local numbers = require "gpt.grammar.schema.numbers"
local strings = require "gpt.grammar.schema.strings"

local Compiler = {}
Compiler.__index = Compiler

local TYPES = { "string", "number", "integer", "object", "array", "boolean", "null" }

-- A rule of a node's own, for one that is used in several places.
function Compiler:shared(node, label)
  local name = {}
  table.insert(self.context.rules, { name = name, label = name_list.path(label), node = node })
  return nodes.rule(name)
end

-- White space where the style leaves it free: a blank, or a line's end and indentation.
function Compiler:blank()
  if not self.context.style.free then return nodes.nothing end
  if not self.white then
    local indented = nodes.sequence { nodes.text "\n", nodes.times(nodes.text " ", 0, 40) }
    self.white = self:shared(nodes.optional(nodes.choice { nodes.text " ", indented }), "white space")
  end
  return self.white
end

-- The rest of a key, whatever it is, written in one way.
function Compiler:key_rest()
  self.rest = self.rest or self:shared(strings.any_written, "the rest of a key")
  return self.rest
end

-- A character that names seldom have.
function Compiler:unusual()
  self.seldom = self.seldom or self:shared(strings.unusual, "a character")
  return self.seldom
end

function Compiler:character()
  self.char = self.char or self:shared(strings.character, "a character")
  return self.char
end

local values = {}

function values.boolean() return nodes.choice { nodes.text "true", nodes.text "false" } end

function values.null() return nodes.text "null" end

function values.string(self, flat)
  local length = flat.length or {}
  if flat.number_format then
    self.context:fail(flat.path, "format %s of strings cannot be enforced: it is for numbers", flat.number_format)
  end
  if length.most and length.most < (length.least or 0) then
    return nodes.never(flat.path .. ": maxLength is less than minLength")
  end
  if not flat.pattern and not flat.format then
    return strings.by_length(self:character(), length.least, length.most)
  end
  return strings.special(self, flat)
end

local function check_bound(self, flat, value)
  if value and not numbers.decimal(value) then
    self.context:fail(flat.bounds.path, "a bound of at most 15 digits before the point and 20 behind it expected")
  end
end

function values.number(self, flat)
  if flat.whole then return values.integer(self, flat) end
  local bounds = flat.bounds or {}
  check_bound(self, flat, bounds.low)
  check_bound(self, flat, bounds.high)
  return numbers.between(bounds.low, bounds.high, bounds.low_open, bounds.high_open)
end

-- A whole bound, tightened where the number itself is out.
local function whole_bound(value, open, round, step)
  if not value then return nil end
  local whole = round(value)
  if open and whole == value then whole = whole + step end
  return math.tointeger(whole)
end

function values.integer(self, flat)
  local bounds = flat.bounds or {}
  check_bound(self, flat, bounds.low)
  check_bound(self, flat, bounds.high)
  return numbers.whole(whole_bound(bounds.low, bounds.low_open, math.ceil, 1),
    whole_bound(bounds.high, bounds.high_open, math.floor, -1))
end

values.object, values.array = containers.object, containers.array

-- The types a value may have: those given; or those that keywords speak of; or all.
local function types_of(flat)
  if flat.types then return flat.types end
  local kinds = next(flat.kinds) and flat.kinds or { string = true, number = true, object = true, array = true,
    boolean = true, null = true }
  return kinds
end

local function of_flat(self, flat)
  if flat.never then return nodes.never(flat.never .. ": nothing matches") end
  if flat.enum then return literals.node(self.context, flat) end
  local types, list = types_of(flat), {}
  for _, name in ipairs(TYPES) do
    local node = types[name] and values[name](self, flat)
    if node and node.kind == "never" and node.reason:sub(1, 1) ~= "#" then
      node = nodes.never(flat.path .. ": " .. node.reason)
    end
    if node then list[#list + 1] = node end
  end
  if #list == 0 then return nodes.never(flat.path .. ": no type is left") end
  return nodes.choice(list)
end

local function of_conjunction(self, conjunction)
  local list = {}
  for i, flat in ipairs(flatten(self.context, conjunction)) do list[i] = of_flat(self, flat) end
  return nodes.choice(list)
end

-- The node of what matches all schemas of a list; label: where they stand, for messages.
function Compiler:node(conjunction, label)
  local key = self.context:key(conjunction)
  local known = self.made[key]
  if known then return known end
  local rule = { name = {}, label = name_list.path(conjunction[1] and conjunction[1].path or label) }
  self.made[key] = nodes.rule(rule.name)
  self.depth = self.depth + 1
  if self.depth > 190 then self.context:fail(rule.label, "nested more than 190 deep") end
  local around = nodes.at(rule.label)
  rule.node = of_conjunction(self, conjunction)
  nodes.at(around)
  self.depth = self.depth - 1
  if rule.node.kind == "never" then self.made[key] = rule.node end
  table.insert(self.context.rules, rule)
  return self.made[key]
end

-- The rules of a schema, for build; the root first. share: of the bounds on what it takes
return function(what, schema, whitespace, share)
  local context = Context.new(what, schema, whitespace, share)
  local self = setmetatable({ context = context, made = {}, depth = 0 }, Compiler)
  local node = self:node({ { schema = schema, path = "#" } }, "#")
  if node.kind == "never" then context:fail(node.reason:match "^#[^:]*", "%s", (node.reason:gsub("^#[^:]*: ", ""))) end
  local rules = { { name = "root", label = "#", node = node } }
  return table.move(context.rules, 1, #context.rules, 2, rules)
end
