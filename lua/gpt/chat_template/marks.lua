-- A tokenizer's marks ("<|im_end|>": tokens that control the model), and words of strangers in which none must count.
--
-- A text of a template and of messages does not tell which "<|im_end|>" is the template's. So the template is run a
-- second time over messages in which the beginnings of marks are stand-ins, characters that no text has; where these
-- come out, no mark begins.
local core = require "gpt.core"

local Marks = {}
Marks.__index = Marks

local FIRST_STAND_IN, MOST_STAND_INS = 0x10FE00, 256
local STAND_IN = "()(\xF4\x8F[\xB8-\xBB][\x80-\xBF])" -- those 256 characters

local known = setmetatable({}, { __mode = "k" }) -- by tokenizer

local function add(self, text)
  local first = text:match "^[\x00-\x7F\xC2-\xF4][\x80-\xBF]*" or text:sub(1, 1)
  self.texts[text] = true
  self.longest = math.max(self.longest, #text)
  if not self.has_length[#text] then table.insert(self.lengths, #text) end
  self.has_length[#text] = true
  if self.stand_ins[first] then return end
  local stand_in = utf8.char(FIRST_STAND_IN + self.firsts % MOST_STAND_INS)
  self.firsts = self.firsts + 1
  self.stand_ins[first], self.originals[stand_in] = stand_in, first
end

local function new(list)
  local self = setmetatable({
    texts = {},                       -- a set
    lengths = {}, has_length = {},    -- of these texts, longest first
    longest = 0,
    stand_ins = {}, originals = {},   -- first characters to stand-ins, and back
    firsts = 0,
  }, Marks)
  for _, text in ipairs(list) do
    if text ~= "" then add(self, text) end
  end
  table.sort(self.lengths, function(a, b) return a > b end)
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
  for first, stand_in in pairs(self.stand_ins) do text = text:gsub(first:gsub("%p", "%%%0"), stand_in) end
  return text
end

local function begins_one(self, rest)
  for word in pairs(self.texts) do
    if #word > #rest and word:sub(1, #rest) == rest then return true end
  end
  return false
end

--- A text with stand-ins where a whole mark begins, or the text's end may be a mark's beginning.
function Marks:hide_whole(text)
  local parts, at = {}, 1
  for position, first in text:gmatch "()([\x00-\x7F\xC2-\xF4][\x80-\xBF]*)" do
    local stand_in = position >= at and self.stand_ins[first]
    local near_end = #text - position < self.longest
    if stand_in and (self:at(text, position) or near_end and begins_one(self, text:sub(position))) then
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
