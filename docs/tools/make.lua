-- Makes what is made from the documentation comments of the sources.
--
--   lua5.4 docs/tools/make.lua help FILE SOURCE...           the texts of gpt.help
--   lua5.4 docs/tools/make.lua completion FILE SOURCE...     definitions for the Lua language server
--   lua5.4 docs/tools/make.lua reference DIRECTORY SOURCE... sources for ldoc
package.path = arg[0]:match("^(.*/)") .. "?.lua;" .. package.path

local what, where = arg[1], arg[2]
local entries = require("comments").read(table.move(arg, 3, #arg, 1, {}))

local function write_file(write)
  local temporary = where .. ".new"
  local out <close> = assert(io.open(temporary, "w"))
  write(entries, out)
  out:close()
  assert(os.rename(temporary, where)) -- a build beside this one never sees half a file
end

if what == "reference" then
  require("reference").write(entries, where)
else
  write_file(require(what == "help" and "help_texts" or "completion").write)
end
