-- Holds the tensors of a model's files against what its config asks for.
local core = require "gpt.core"
local mismatch = require "gpt.support.mismatch"

local LENIENT = "\n  strict = false leaves unexpected tensors out, and takes missing biases for zeros"

local function without_biases(names)
  local rest = {}
  for _, name in ipairs(names) do
    if not name:find "%.bias$" then rest[#rest + 1] = name end
  end
  return rest
end

-- Without what files lack and may.
local function needed(list)
  local rest = {}
  for _, item in ipairs(list) do
    if not item.may_miss then rest[#rest + 1] = item end
  end
  return rest
end

-- All that differs comes in one error.
-- @string what "FILE does not fit FILE": how the message begins
-- @tparam {table,...} list the layout
-- @tparam table there tensors of the files by name, each with its `shape`
-- @bool strict false: unexpected tensors and missing biases do not matter
return function(what, list, there, strict)
  local found = mismatch.compare(needed(list), there)
  local missing = without_biases(found.missing)
  local would_do = #missing == 0 and #found.misshaped == 0
  if not strict then found.missing, found.unexpected = missing, {} end
  local text = mismatch.text(found)
  if text then core._raise(what .. text .. (would_do and LENIENT or "")) end
end
