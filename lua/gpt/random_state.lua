--- The state of the random numbers as a value.
-- @submodule gpt
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local known_fields = require "gpt.support.known_fields"

local RandomState = { __name = "gpt.RandomState", __index = known_fields.index "a gpt.RandomState" }

function RandomState.__eq(a, b) return rawget(a, "text") == rawget(b, "text") end

-- The seed, where in the generator's block of 624 words it is, and how that block ends.
function RandomState:__tostring()
  local seed, word = self.text:match "^mt19937 (%d+) (%d+)"
  return ("RandomState { seed %s, word %s of 624, block ...%s }"):format(seed, word, self.text:sub(-8))
end

--- Returns the state of this Lua state's random numbers, or restores one: the same numbers are drawn again.
--
-- The state is a table with one field, `text`, a string of some 5,000 characters. You may keep it in a file and pass it
-- to `gpt.random_state` in another process.
-- @function random_state
-- @tparam[opt] table|string state what an earlier call returned, or its text
-- @treturn table the state, if none was given; equal (==) to one that draws the same
-- @usage local state = gpt.random_state()
-- local a = gpt.randn(3)
-- gpt.random_state(state)
-- local b = gpt.randn(3)  -- equal to a
return function(...)
  if select("#", ...) == 0 then return setmetatable({ text = core._random_state() }, RandomState) end
  local given = ...
  local text = getmetatable(given) == RandomState and given.text or given
  if type(text) == "string" and core._random_state(text) then return end
  local shown = type(text) == "string" and "another string" or validate.show(given)
  core._raise(("gpt.random_state: a random state expected, as gpt.random_state() returns one, got %s"):format(shown))
end
