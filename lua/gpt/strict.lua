-- Tables that know their own names: a misspelt one is an error that suggests the near one.
local core = require "gpt.core"
local fold = require "gpt.fold"

local strict = {}

--- The names in tables, in order: their string keys, without those that begin with an underscore.
function strict.names(...)
  local names, seen = {}, {}
  for _, t in ipairs { ... } do
    for name in next, t do
      if type(name) == "string" and name:find("^%a") and not seen[name] then
        table.insert(names, name)
        seen[name] = true
      end
    end
  end
  table.sort(names)
  return names
end

--- Raises: `what` ("gpt.nn", "a gpt.Dataset") has no such name; it suggests the near one of `names`, and says
-- `otherwise` where none is near.
-- @param kind "field ", "field or method ", or "" before the name
function strict.refuse(what, kind, name, names, otherwise)
  local near = core._suggest(name, names)
  local advice = near and ("; did you mean '%s'?"):format(near) or otherwise and "; " .. otherwise or ""
  core._raise(("%s has no %s'%s'%s"):format(what, kind, name, advice))
end

--- An __index for values with fields of their own and methods (none: nil). `optional` lists fields that may be nil. A
-- key that is no string is answered as by any table.
function strict.index(what, methods, optional)
  local may_miss = {}
  for _, name in ipairs(optional or {}) do may_miss[name] = true end
  return function(self, key)
    local found = methods and methods[key]
    if found ~= nil or type(key) ~= "string" or may_miss[key] then return found end
    local names = strict.names(self, methods or {}, may_miss)
    if methods then strict.refuse(what, "field or method ", key, names) end
    strict.refuse(what, "field ", key, names, "it has " .. table.concat(names, ", "))
  end
end

--- Makes a module strict, and print tell what there is; `title` is how scripts call it: "gpt", "gpt.nn".
function strict.module(module, title)
  return setmetatable(module, {
    __index = function(_, name)
      strict.refuse(title, "", tostring(name), strict.names(module), "gpt.help() lists what there is")
    end,
    __tostring = function()
      return fold.flow(strict.names(module), title .. ":") .. "\ngpt.help \"NAME\" tells more of one."
    end,
  })
end

return strict
