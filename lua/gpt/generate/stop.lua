-- Stop strings in text that comes piece by piece. Each byte is looked at once for each string (Knuth, Morris and
-- Pratt), so that text and strings that repeat themselves take no longer than others.
local Stop = {}
Stop.__index = Stop

--- A string to look for, which any number of texts may share. borders[n]: how long the longest beginning of its first n
-- bytes is that is their end as well, and not all of them; known as far as a text has matched.
function Stop.word(text)
  return { text = text, borders = { 0 } }
end

-- How many of the word's first bytes are at the end of a text, when one more byte came behind `matched` of them.
local function advance(word, matched, byte)
  local text, borders = word.text, word.borders
  while matched > 0 and text:byte(matched + 1) ~= byte do matched = borders[matched] end
  return text:byte(matched + 1) == byte and matched + 1 or 0
end

local function know_border(word, n)
  local borders = word.borders
  if n > 0 and not borders[n] then borders[n] = advance(word, borders[n - 1], word.text:byte(n)) end
end

-- Goes through a piece. Returns how much of the word is at its end, and where the piece's first whole word begins.
local function follow(word, matched, piece)
  local first, length, at = word.text:sub(1, 1), #word.text, 1
  while at <= #piece do
    if matched == 0 then at = piece:find(first, at, true) end
    if not at then return 0, nil end
    matched = advance(word, matched, piece:byte(at))
    if matched == length then return 0, at - length + 1 end
    know_border(word, matched)
    at = at + 1
  end
  return matched, nil
end

--- A text that has not begun.
-- @tparam {table,...} words to look for in it
function Stop.new(words)
  local matched = {}
  for i = 1, #words do matched[i] = 0 end
  return setmetatable({ words = words, matched = matched }, Stop)
end

--- Takes the next piece of the text, while there is no word in it.
-- @treturn ?integer where the first word begins, counted in this piece: 1 is its first byte, 0 the one before it
-- @treturn integer how many bytes at the end may become a word
function Stop:add(piece)
  local first, held = nil, 0
  for i, word in ipairs(self.words) do
    local matched, at = follow(word, self.matched[i], piece)
    if at and (not first or at < first) then first = at end
    self.matched[i], held = matched, math.max(held, matched)
  end
  return first, held
end

return Stop
