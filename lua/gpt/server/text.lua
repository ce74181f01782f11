-- Text for JSON, which is UTF-8.
local text = {}

local REPLACEMENT = "\u{FFFD}"

--- The same text, with a mark in place of each byte that belongs to no character.
function text.clean(bytes)
  local length, bad = utf8.len(bytes)
  if length then return bytes end
  local parts, at = {}, 1
  while bad do
    parts[#parts + 1] = bytes:sub(at, bad - 1)
    parts[#parts + 1] = REPLACEMENT
    at = bad + 1
    length, bad = utf8.len(bytes, at)
    if length then bad = nil end
  end
  parts[#parts + 1] = bytes:sub(at)
  return table.concat(parts)
end

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
