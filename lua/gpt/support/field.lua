-- A value's field or method, or nil where it has none: misspelt fields of our own values are errors.
local attempt = require "gpt.support.attempt"

return function(value, name)
  local ok, found = attempt(function() return value[name] end)
  return ok and found or nil
end
