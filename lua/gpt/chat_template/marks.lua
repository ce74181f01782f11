-- A tokenizer's marks ("<|im_end|>": tokens that control the model), and words of strangers in which none must count.
--
-- A text of a template and of messages does not tell which "<|im_end|>" is the template's. So the template is run a
-- second time over messages in which the beginnings of marks are stand-ins, characters that no text has; where these
-- come out, no mark begins.
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"

local Marks = {}
Marks.__index = Marks

local FIRST_STAND_IN, MOST_STAND_INS = 0x10FE00, 256
local MANY = 8 -- characters: it takes less time then to look at each one of a text
local CHARACTER = "[\x00-\x7F\xC2-\xF4][\x80-\xBF]*"
local STAND_IN = "()(\xF4\x8F[\xB8-\xBB][\x80-\xBF])" -- those 256 characters

-- Of a longer mark its first bytes are looked for: what is hidden may be more than marks, and each place of a text
-- takes the same time, whatever marks a file names.
local HEAD = 16

local known = setmetatable({}, { __mode = "k" }) -- by tokenizer

local function add(self, text)
  local character = text:match("^" .. CHARACTER)
  local first = character or text:sub(1, 1)
  self.texts[text] = true
  if not self.has_length[#text] then table.insert(self.lengths, #text) end
  self.has_length[#text] = true
  local head = text:sub(1, HEAD)
  if not self.is_head[head] then table.insert(self.heads, head) end
  self.is_head[head] = true
  if self.stand_ins[first] then return end
  local stand_in = utf8.char(FIRST_STAND_IN + self.firsts % MOST_STAND_INS)
  self.firsts = self.firsts + 1
  self.stand_ins[first], self.originals[stand_in] = stand_in, first
  if not character then self.strays[first] = stand_in end
end

local function new(list)
  local self = setmetatable({
    texts = {},                       -- a set
    lengths = {}, has_length = {},    -- of these texts, longest first
    heads = {}, is_head = {},         -- the first bytes of all, sorted
    stand_ins = {}, originals = {},   -- first characters to stand-ins, and back
    strays = {},                      -- those that are bytes and no characters
    firsts = 0,
  }, Marks)
  for _, text in ipairs(list) do
    if text ~= "" then add(self, text) end
  end
  table.sort(self.lengths, function(a, b) return a > b end)
  neutral.sort(self.heads)
  return self
end

--- Those of a tokenizer; none are known of one of the user's own.
function Marks.of(tokenizer)
  if core._typename(tokenizer) ~= "gpt.Tokenizer" then return new {} end
  known[tokenizer] = known[tokenizer] or new(core._tokenizer_marks(tokenizer))
  return known[tokenizer]
end

--- The longest mark that begins at a byte of text, or nil.
function Marks:at(text, position)
  for _, length in ipairs(self.lengths) do
    local word = text:sub(position, position + length - 1)
    if #word == length and self.texts[word] then return word end
  end
end

--- A text with stand-ins for every character that begins any mark.
function Marks:hide_characters(text)
  local many = self.firsts > MANY
  for first, stand_in in pairs(many and self.strays or self.stand_ins) do
    text = text:gsub(first:gsub("%p", "%%%0"), stand_in)
  end
  return many and text:gsub(CHARACTER, self.stand_ins) or text
end

-- Does the head of a mark stand at a byte of text?
local function has_head(self, text, position)
  for length = 1, math.min(HEAD, #text - position + 1) do
    if self.is_head[text:sub(position, position + length - 1)] then return true end
  end
  return false
end

-- Is there a head that goes on behind rest, the end of a text? It would be the first that does not come before rest.
local function begins_one(self, rest)
  local low, high = 1, #self.heads + 1
  while low < high do
    local middle = (low + high) // 2
    if core._before(self.heads[middle], rest) then low = middle + 1 else high = middle end
  end
  local head = self.heads[low]
  return head ~= nil and head:sub(1, #rest) == rest
end

--- A text with stand-ins where a mark begins (of a long one, its head), or the text's end may be a mark's beginning.
function Marks:hide_whole(text)
  local parts, at = {}, 1
  for position, first in text:gmatch("()(" .. CHARACTER .. ")") do
    local stand_in = position >= at and self.stand_ins[first]
    local near_end = #text - position < HEAD - 1
    if stand_in and (has_head(self, text, position) or near_end and begins_one(self, text:sub(position))) then
      parts[#parts + 1] = text:sub(at, position - 1) .. stand_in
      at = position + #first
    end
  end
  parts[#parts + 1] = text:sub(at)
  return table.concat(parts)
end

--- The text with the characters that stand-ins stand for, and the bytes where they are.
function Marks:restore(text)
  local parts, places, at, length = {}, {}, 1, 0
  for position, stand_in in text:gmatch(STAND_IN) do
    local original = self.originals[stand_in] or stand_in
    local before = text:sub(at, position - 1)
    if original ~= stand_in then places[#places + 1] = length + #before + 1 end
    parts[#parts + 1] = before .. original
    at, length = position + #stand_in, length + #before + #original
  end
  parts[#parts + 1] = text:sub(at)
  return table.concat(parts), places
end

return Marks
