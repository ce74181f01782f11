-- Stop strings in text that grows token by token.
local stop = {}

-- How many bytes at the end of text are a beginning of word, but not all of it.
local function beginning(text, word)
  for n = math.min(#text, #word - 1), 1, -1 do
    if text:sub(-n) == word:sub(1, n) then return n end
  end
  return 0
end

-- Where the first of the strings begins in text; or nil, and how many bytes at the end may become one.
function stop.find(text, strings)
  local first, held = nil, 0
  for _, word in ipairs(strings) do
    local at = text:find(word, 1, true)
    if at and (not first or at < first) then first = at end
    held = math.max(held, beginning(text, word))
  end
  return first, held
end

return stop
