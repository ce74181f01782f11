-- Methods of classes written in Lua: a dot in place of the colon, and so another first argument, is an error that says
-- so.
local core = require "gpt.core"
local validate = require "gpt.support.validate"

local methods = {}

--- Raises where `self` is not what the method `name` belongs to.
-- @param what it is called: "a gpt.Chat"
function methods.check_self(fits, what, name, self)
  if fits then return end
  core._raise(("%s: %s expected, got %s; a method is called with a colon: value:%s(...)"):format(name, what,
    validate.show(self), name))
end

--- Makes all functions of a class check it; called when the class is complete.
-- @param metatable of its values
function methods.check(what, class, metatable)
  for name, method in pairs(class) do
    if type(method) == "function" and name:find "^%a" then
      class[name] = function(self, ...)
        methods.check_self(getmetatable(self) == metatable, what, name, self)
        return method(self, ...)
      end
    end
  end
end

--- A method of layers that checks it.
function methods.of_layers(name, method)
  return function(self, ...)
    methods.check_self(core._typename(self) == "gpt.Layer", "a layer", name, self)
    return method(self, ...)
  end
end

return methods
