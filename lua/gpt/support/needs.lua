-- Lua's libraries that a host may leave out (io, os): what needs one says so by name when it is called.
local core = require "gpt.core"

--- That library, or an error that begins with `what`.
return function(library, what)
  local found = rawget(_G, library)
  if not found then core._raise(("%s: needs Lua's library %s, which this host leaves out"):format(what, library)) end
  return found
end
