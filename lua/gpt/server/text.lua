-- Text for JSON, which is UTF-8.
local text = {}

--- The same text, with a mark in place of what is no character.
text.clean = require "gpt.support.valid_utf8"

--- The number of characters that begin in it.
function text.length(bytes)
  local _, count = bytes:gsub("[^\x80-\xBF]", "")
  return count
end

--- A message without the place that it was raised at.
function text.message(problem)
  return (tostring(problem):gsub("^[^\n]-:%d+: ", "", 1))
end

return text
