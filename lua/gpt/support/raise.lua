-- Raises a message at the user's line: a format as string.format's, with its arguments.
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"

return function(...)
  core._raise(neutral.format(...))
end
