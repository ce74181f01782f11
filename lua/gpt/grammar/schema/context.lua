-- A schema that is being compiled: its text's values, where they stand, and the rules made so far.
local json = require "gpt.support.json"
local name_list = require "gpt.support.name_list"
local neutral = require "gpt.support.neutral"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local MOST_STEPS = 50000
local MOST_EDGES = 300000 -- looked at for all patterns that have lengths

local Context = {}
Context.__index = Context

-- How members, items and what lies around them are set apart.
local styles = {
  fixed = { comma = ", ", colon = ": " },
  none = { comma = ",", colon = ":" },
  free = { comma = ",", colon = ":", free = true },
}

function Context.new(what, root, whitespace, share)
  local style = styles[whitespace or "fixed"]
  if not style then
    raise('%s: whitespace: "fixed", "none" or "free" expected, got %s', what, validate.show(whitespace))
  end
  return setmetatable({
    what = what, root = root, style = style,
    rules = {},   -- for build
    names = {},   -- by key: the name of the rule of a conjunction of schemas
    numbers = {}, -- by schema: its number, which keys are made of
    count = 0,
    steps = 0,    -- see Context:step
    most_steps = math.floor(MOST_STEPS * share),
    referring = {}, -- see Context:refers
    values = {},  -- by schema: what its enum and its const hold
    texts = {},   -- what strings.lua made of patterns and formats
    leaves = {},  -- by characters of a pattern: their node in a string
    members = {}, -- by flat and name: the flats of that member
    left = { edges = MOST_EDGES * share }, -- for counted.lua
  }, Context)
end

-- Raises an error about a place in the schema.
function Context:fail(path, ...)
  raise("%s: %s: %s", self.what, name_list.path(path), neutral.format(...))
end

local function escaped(name)
  return (name_list.ends(tostring(name)):gsub("~", "~0"):gsub("/", "~1"))
end

-- The path of a part, as far as messages show it: those of many parts of a long name are not each as long.
function Context.below(path, ...)
  for _, name in ipairs { ... } do path = name_list.ends(path .. "/" .. escaped(name)) end
  return path
end

-- Counts what is done to work out a schema, so that none takes more than seconds, whatever a stranger sends. What is
-- copied or compared counts a tenth of a schema that is looked at.
function Context:step(path, schemas, entries)
  self.steps = self.steps + schemas + (entries or 0) / 10
  if self.steps > self.most_steps then
    self:fail(path, "the schema takes more than %d steps to work out: fewer alternatives inside each other would do",
      self.most_steps)
  end
end

-- Whether there is a $ref anywhere in a part.
function Context:refers(part)
  if self.referring[part] == nil then
    self.referring[part] = type(part["$ref"]) == "string"
    for _, inner in pairs(part) do
      if type(inner) == "table" and self:refers(inner) then self.referring[part] = true end
    end
  end
  return self.referring[part]
end

-- A $ref is looked for in the whole schema: none may stand in a part with an address of its own. ("#name" is none: so
-- drafts up to 7 wrote $anchor.)
function Context:check_address(part, path)
  local id = part["$id"]
  if part == self.root or type(id) ~= "string" or id:sub(1, 1) == "#" then return end
  if self:refers(part) then self:fail(path, "$ref below a $id that is not the root's cannot be followed") end
end

-- The schema and path that a $ref names.
function Context:resolve(ref, path)
  if type(ref) ~= "string" or ref ~= "#" and ref:sub(1, 2) ~= "#/" then
    self:fail(path, "$ref: a place in this schema expected, as in #/$defs/name, got %s", validate.show(ref))
  end
  local at = self.root
  for name in ref:sub(2):gmatch "/([^/]*)" do
    name = name:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    name = name:gsub("~1", "/"):gsub("~0", "~")
    local index = math.tointeger(tonumber(name))
    if type(at) == "table" then self:check_address(at, path) end
    if type(at) ~= "table" then at = nil
    elseif json.is_array(at) and index then at = at[index + 1]
    else at = at[name] end
    if at == nil then self:fail(path, "$ref: there is no %s", name_list.path(ref)) end
  end
  return { schema = at, path = name_list.ends(ref) }
end

-- Keys of an object in the order of its text; where a table has none, those of the list first, then by name.
function Context.keys(object, first)
  local keys = json.keys(object)
  if keys then return keys end
  local list, known, rest = {}, {}, {}
  for _, name in ipairs(first or {}) do
    if object[name] ~= nil and not known[name] then
      list[#list + 1], known[name] = name, true
    end
  end
  for name in pairs(object) do
    if not known[name] then rest[#rest + 1] = name end
  end
  neutral.sort(rest)
  return table.move(rest, 1, #rest, #list + 1, list)
end

-- What a list of schemas is known by, whose texts have to match all of them.
function Context:key(conjunction)
  local list, seen = {}, {}
  for _, part in ipairs(conjunction) do
    local number = self.numbers[part.schema]
    if not number then
      self.count = self.count + 1
      number = self.count
      self.numbers[part.schema] = number
    end
    if not seen[number] then list[#list + 1], seen[number] = number, true end
  end
  table.sort(list)
  return table.concat(list, " ")
end

return Context
