-- Whether a text that matches one branch of a oneOf can match another: that has to be ruled out, since a grammar cannot
-- see to it afterwards.
local json = require "gpt.support.json"
local members = require "gpt.grammar.schema.members"

local disjoint = {}

local MOST_DEPTH = 20

local function type_of(value)
  if value == json.null then return "null" end
  if type(value) == "table" then return json.is_array(value) and "array" or "object" end
  if type(value) == "number" then return math.tointeger(value) and "integer" or "number" end
  return type(value)
end

disjoint.type_of = type_of

local function has_type(types, name)
  return not types or types[name] or name == "integer" and types.number
end

local function apart_by_type(a, b)
  if not a.types or not b.types then return false end
  for name in pairs(a.types) do
    if has_type(b.types, name) or name == "number" and b.types.integer then return false end
  end
  return true
end

local function apart_by_values(context, a, b)
  if not a.enum then return false end
  for i, text in ipairs(a.enum) do
    local matches = has_type(b.types, type_of(a.enum.by[text][1].value)) and (not b.enum or b.enum.by[text])
    if matches or i == #a.enum then context:step(a.path, 0, i) end
    if matches then return false end
  end
  return true
end

local function only_type(flat, name)
  return flat.types and flat.types[name] and next(flat.types, next(flat.types)) == nil
end

-- b requires a member that a does not make.
local function lacks(context, a, b)
  if members.others(context, a) then return false end
  for name in pairs(b.required) do
    if not a.named[name] then return true end
  end
  return false
end

local apart

-- The flats of a member, which are worked out once.
local function flats_of(context, flat, name, flatten)
  local known = context.members[flat] or {}
  context.members[flat] = known
  known[name] = known[name] or flatten(context, members.named(context, flat, name))
  return known[name]
end

-- A member that both require tells them apart.
local function apart_by_member(context, a, b, flatten, depth)
  for name in pairs(a.required) do
    if b.required[name] then
      local ours, theirs = flats_of(context, a, name, flatten), flats_of(context, b, name, flatten)
      if apart(context, ours, theirs, flatten, depth + 1) then return true end
    end
  end
  return false
end

local function apart_by_bounds(a, b)
  local x, y = a.bounds or {}, b.bounds or {}
  local function below(p, q)
    return p.high and q.low and (p.high < q.low or p.high == q.low and (p.high_open or q.low_open))
  end
  local function numeric(flat) return only_type(flat, "integer") or only_type(flat, "number") end
  return numeric(a) and numeric(b) and (below(x, y) or below(y, x))
end

local function two_apart(context, a, b, flatten, depth)
  context:step(a.path, 0, 2 + #a.order + #b.order + #a.parts + #b.parts)
  if a.never or b.never or apart_by_type(a, b) then return true end
  if apart_by_values(context, a, b) or apart_by_values(context, b, a) then return true end
  if apart_by_bounds(a, b) then return true end
  if not only_type(a, "object") or not only_type(b, "object") then return false end
  return lacks(context, a, b) and lacks(context, b, a)
    or apart_by_member(context, a, b, flatten, depth)
end

-- No value of the first flats is one of the others.
function apart(context, first, second, flatten, depth)
  if depth > MOST_DEPTH then return false end
  for _, a in ipairs(first) do
    for _, b in ipairs(second) do
      if not two_apart(context, a, b, flatten, depth) then return false end
    end
  end
  return true
end

-- lists: the flats of each branch, along with all else that a value has to match.
function disjoint.check(context, path, lists, flatten)
  for i = 1, #lists do
    for j = i + 1, #lists do
      if not apart(context, lists[i], lists[j], flatten, 1) then
        context:fail(path, "oneOf: a value may match both %d and %d, which cannot be ruled out; use anyOf, or give "
          .. "them different types or a property with different constants", i - 1, j - 1)
      end
    end
  end
end

return disjoint
