-- UTF-8 that arrives in pieces.
local characters = {}

-- By first byte: how long the character is, and the range of its second byte (Unicode 15, table 3-7).
local function expected(first)
  if first >= 0xC2 and first <= 0xDF then return 2, 0x80, 0xBF end
  if first == 0xE0 then return 3, 0xA0, 0xBF end
  if first == 0xED then return 3, 0x80, 0x9F end
  if first >= 0xE1 and first <= 0xEF then return 3, 0x80, 0xBF end
  if first == 0xF0 then return 4, 0x90, 0xBF end
  if first >= 0xF1 and first <= 0xF3 then return 4, 0x80, 0xBF end
  if first == 0xF4 then return 4, 0x80, 0x8F end
  return 1, 0x80, 0xBF
end

-- How many bytes at the end of text are a character that is not whole yet. Bytes that no more bytes could make UTF-8
-- are not waited for.
function characters.unfinished(text)
  for n = 1, math.min(3, #text) do
    local first = text:byte(-n)
    if first < 0x80 or first > 0xBF then
      local length, low, high = expected(first)
      local second = n > 1 and text:byte(-n + 1) or low
      return length > n and second >= low and second <= high and n or 0
    end
  end
  return 0
end

return characters
