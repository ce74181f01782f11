-- Modules that know their own names: a misspelt one is an error that suggests the near one, and print tells what there
-- is.
local core = require "gpt.core"

local function names_of(module)
  local names = {}
  for name in pairs(module) do
    if type(name) == "string" and name:find("^%a") then table.insert(names, name) end
  end
  table.sort(names)
  return names
end

--- Makes the module strict; `title` is how scripts call it: "gpt", "gpt.nn".
return function(module, title)
  return setmetatable(module, {
    __index = function(_, name)
      local near = type(name) == "string" and core._suggest(name, names_of(module))
      if near then core._raise(("%s has no '%s'; did you mean '%s'?"):format(title, name, near)) end
      core._raise(("%s has no '%s'; gpt.help() lists what there is"):format(title, tostring(name)))
    end,
    __tostring = function()
      return ("%s: %s\ngpt.help \"NAME\" tells more of one."):format(title, table.concat(names_of(module), " "))
    end,
  })
end
