--- luagpt: a GPT for Lua.
-- @module gpt
local core = require "gpt.core"

local source = debug.getinfo(1, "S").source
core.set_home(source:match("^@.*[/\\]") or source)

local gpt = { _VERSION = "luagpt scm" }

for _, name in ipairs {
  "memory",
  "random_state",
  "seed",
  "set_threads",
  "threads",
  "trim",
} do
  gpt[name] = core[name]
end

return gpt
