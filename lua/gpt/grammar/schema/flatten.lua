-- From schemas that a value has to match all of to flats (keywords.lua): what allOf, $ref, anyOf and oneOf say is
-- worked out, and of the flats that are left a value matches one.
local json = require "gpt.support.json"
local keywords = require "gpt.grammar.schema.keywords"
local name_list = require "gpt.support.name_list"
local validate = require "gpt.support.validate"
local disjoint = require "gpt.grammar.schema.disjoint"

local MOST_FLATS = 500
local MOST_DEPTH = 200

-- What JSON Schema has besides.
local KNOWN = {}
for name in ([[not if then else contains minContains maxContains patternProperties propertyNames dependentRequired
  dependentSchemas dependencies unevaluatedProperties unevaluatedItems $dynamicRef $recursiveRef $dynamicAnchor
  $recursiveAnchor contentSchema contentEncoding contentMediaType]]):gmatch "%S+" do KNOWN[name] = true end

local flatten

local OWN = { "parts", "order", "named", "required", "lists", "length", "count", "members", "bounds", "seen", "kinds" }

local function copied(context, flat)
  local copy, entries = {}, 0
  for name, value in pairs(flat) do copy[name] = value end
  for _, name in ipairs(OWN) do
    if flat[name] then
      copy[name] = {}
      for k, v in pairs(flat[name]) do copy[name][k], entries = v, entries + 1 end
    end
  end
  context:step(flat.path, 0, entries)
  return copy
end

local function check_schema(context, part)
  local schema = part.schema
  if type(schema) == "boolean" then return end
  if not json.is_object(schema) then
    local shown = type(schema) == "table" and "a list" or validate.show(schema)
    context:fail(part.path, "a schema expected: an object, true or false, got %s", shown)
  end
end

-- What sent on to the schemas that a part names: none of these may lead back to it.
local function chain(part) return { schema = part.schema, before = part.via } end

-- Puts the schemas of a list with what waits.
local function put_all(context, part, name, waiting)
  for i, schema in ipairs(keywords.list(context, part.path, name, part.schema[name])) do
    table.insert(waiting, { schema = schema, path = context.below(part.path, name, i - 1), via = chain(part) })
  end
end

local function follow_ref(context, part, waiting)
  local target = context:resolve(part.schema["$ref"], part.path)
  target.via = chain(part)
  local at, length = target.via, 0
  while at do
    if at.schema == target.schema then context:fail(part.path, "$ref leads back to itself") end
    at, length = at.before, length + 1
  end
  context:step(part.path, 0, length)
  table.insert(waiting, target)
end

-- The branches of anyOf or oneOf, to be tried one by one.
local function branches(context, part, name)
  local list = { path = part.path, one = name == "oneOf" }
  put_all(context, part, name, list)
  if #list == 0 then context:fail(part.path, "%s: at least one schema expected", name) end
  return list
end

local function fail_unknown(context, name, path)
  if KNOWN[name] then context:fail(path, "%s cannot be enforced", name) end
  local shown = name_list.line { name }
  context:fail(path, "%s is no keyword that is known, so it cannot be enforced; leave it out, or call it x-%s",
    shown, shown)
end

local function apply_keyword(context, flat, name, part)
  local apply, kind = keywords.apply[name], keywords.kinds[name]
  if apply then
    apply(context, flat, part.schema[name], part.path, part.schema)
    if kind then flat.kinds[kind] = true end
  elseif not keywords.annotations[name] and name:sub(1, 2) ~= "x-" then
    fail_unknown(context, name, part.path)
  end
end

-- What one schema says; what it sends on to is put into waiting, and choices into choices.
local function read(context, flat, part, waiting, choices)
  check_schema(context, part)
  context:step(part.path, 1)
  if part.schema == false then
    flat.never = flat.never or part.path
    return
  end
  if part.schema == true or flat.seen[part.schema] then return end
  flat.seen[part.schema] = true
  for _, name in ipairs(context.keys(part.schema)) do
    if type(name) ~= "string" then context:fail(part.path, "names expected as keys, got %s", validate.show(name)) end
    if name == "$ref" then follow_ref(context, part, waiting)
    elseif name == "allOf" then put_all(context, part, name, waiting)
    elseif name == "anyOf" or name == "oneOf" then choices[#choices + 1] = branches(context, part, name)
    else apply_keyword(context, flat, name, part) end
  end
end

local expand

-- Adds to out the flats of each branch of a choice.
local function expand_choice(context, flat, list, choices, out)
  local flats = {}
  for i, branch in ipairs(list) do
    flats[i] = {}
    context:step(flat.path, 0, #choices)
    expand(context, copied(context, flat), { branch }, table.move(choices, 1, #choices, 1, {}), flats[i])
    table.move(flats[i], 1, #flats[i], #out + 1, out)
    if #out > MOST_FLATS then context:fail(flat.path, "more than %d combinations of alternatives", MOST_FLATS) end
  end
  if list.one then disjoint.check(context, list.path, flats, flatten) end
end

-- Adds to out the flats of what waits, and of each way through the choices.
function expand(context, flat, waiting, choices, out)
  local at = 1 -- what is read may add to what waits
  while waiting[at] do
    read(context, flat, waiting[at], waiting, choices)
    at = at + 1
  end
  if #choices == 0 then out[#out + 1] = flat
  else expand_choice(context, flat, table.remove(choices, 1), choices, out) end
end

-- conjunction: a list of { schema, path }.
function flatten(context, conjunction)
  local path = conjunction[1] and conjunction[1].path or "#"
  context.depth = (context.depth or 0) + 1
  if context.depth > MOST_DEPTH then context:fail(path, "nested more than %d deep", MOST_DEPTH) end
  local flat = { path = path, parts = {}, order = {}, named = {}, required = {}, lists = {}, seen = {}, kinds = {} }
  local out = {}
  expand(context, flat, table.move(conjunction, 1, #conjunction, 1, {}), {}, out)
  context.depth = context.depth - 1
  return out
end

return flatten
