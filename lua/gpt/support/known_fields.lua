-- Tables that know their own names: a misspelt one is an error that suggests the near one.
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local neutral = require "gpt.support.neutral"

local known_fields = {}

--- The names in tables, in order: their string keys, without those that begin with an underscore.
function known_fields.names(...)
  local names, seen = {}, {}
  for _, t in ipairs { ... } do
    for name in next, t do
      if type(name) == "string" and name:find("^%a") and not seen[name] then
        table.insert(names, name)
        seen[name] = true
      end
    end
  end
  neutral.sort(names)
  return names
end

--- Raises: `what` ("gpt.nn", "a gpt.Dataset") has no such name; it suggests the near one of `names`, or what other
-- libraries' users look for, and says `otherwise` where there is none.
-- @param kind "field ", "field or method ", or "" before the name
function known_fields.refuse(what, kind, name, names, otherwise)
  local hint = core._hint(name, names)
  if hint == "" and otherwise then hint = "; " .. otherwise end
  core._raise(("%s has no %s'%s'%s"):format(what, kind, name, hint))
end

--- An __index for values with fields of their own and methods (none: nil). `optional` lists fields that may be nil. A
-- key that is no string is returned as by any table.
function known_fields.index(what, methods, optional)
  local may_miss = {}
  for _, name in ipairs(optional or {}) do may_miss[name] = true end
  return function(self, key)
    local found = methods and methods[key]
    if found ~= nil or type(key) ~= "string" or may_miss[key] then return found end
    local names = known_fields.names(self, methods or {}, may_miss)
    if methods then known_fields.refuse(what, "field or method ", key, names) end
    known_fields.refuse(what, "field ", key, names, "it has " .. table.concat(names, ", "))
  end
end

-- The library in a module that has something of that name.
local function part_with(module, name)
  for part, value in next, module do
    if type(value) == "table" and rawget(value, name) ~= nil then return part end
  end
end

--- Makes a module strict, and print tell what there is; one that can be called still can. `title` is how scripts call
-- it: "gpt", "gpt.nn".
function known_fields.module(module, title)
  local own = getmetatable(module)
  return setmetatable(module, {
    __call = own and own.__call,
    __index = function(_, name)
      local method = title == "gpt" and core._methods("gpt.Tensor")[name]
      if method then core._raise(("gpt has no '%s'; it is a method of tensors: x:%s(...)"):format(name, name)) end
      local part = part_with(module, name)
      if part then core._raise(("%s has no '%s'; there is %s.%s.%s"):format(title, name, title, part, name)) end
      known_fields.refuse(title, "", tostring(name), known_fields.names(module), "gpt.help() lists what there is")
    end,
    __tostring = function()
      return name_list.flow(known_fields.names(module), title .. ":") .. "\ngpt.help \"NAME\" shows one of them."
    end,
  })
end

return known_fields
