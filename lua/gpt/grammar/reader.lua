-- A text that is read from left to right, character by character, by the front ends.
local json = require "gpt.support.json"
local neutral = require "gpt.support.neutral"
local raise = require "gpt.support.raise"

local Reader = {}
Reader.__index = Reader

Reader.MOST_DEPTH = 200
Reader.MOST_BYTES = 1 << 20 -- of a text: nodes take up to two hundred bytes for each

-- what: begins the messages
function Reader.new(what, text)
  if #text > Reader.MOST_BYTES then
    raise("%s: a text of at most %d bytes expected, got %d", what, Reader.MOST_BYTES, #text)
  end
  local bad = utf8.len(text) == nil and select(2, utf8.len(text))
  if bad then raise("%s: byte %d is not UTF-8", what, bad) end
  return setmetatable({ what = what, text = text, at = 1, depth = 0, line = 1, line_start = 1 }, Reader)
end

-- Where a byte lies: "line 2, column 5", columns in characters. Places behind the one asked for last are found from
-- there.
function Reader:place(at)
  at = math.min(at or self.at, #self.text + 1)
  if at < self.line_start then self.line, self.line_start = 1, 1 end
  local first = self.line_start
  for next_start in self.text:sub(first, at - 1):gmatch "\n()" do
    self.line, self.line_start = self.line + 1, first + next_start - 1
  end
  return ("line %d, column %d"):format(self.line, utf8.len(self.text, self.line_start, at - 1) + 1)
end

function Reader:fail(at, ...)
  raise("%s: %s: %s", self.what, self:place(at), neutral.format(...))
end

function Reader:done() return self.at > #self.text end

-- The next n bytes, without going on.
function Reader:peek(n) return self.text:sub(self.at, self.at + (n or 1) - 1) end

-- The next character, as messages show it.
function Reader:shown()
  local char = self.text:match("^" .. utf8.charpattern, self.at)
  return char and char ~= "" and json.quote(char) or "the end"
end

-- The capture of a pattern that matches here, or nil; goes on behind the match.
function Reader:match(pattern)
  local first, last, capture = self.text:find("^" .. pattern, self.at)
  if not first then return nil end
  self.at = last + 1
  return capture or self.text:sub(first, last)
end

-- Goes on behind these bytes, if they stand here.
function Reader:accept(bytes)
  if self.text:sub(self.at, self.at + #bytes - 1) ~= bytes then return false end
  self.at = self.at + #bytes
  return true
end

-- The next character's code point, or nil at the end.
function Reader:character()
  if self:done() then return nil end
  local code = utf8.codepoint(self.text, self.at)
  self.at = utf8.offset(self.text, 2, self.at)
  return code
end

-- A code that an escape at start names, which must be a character's.
function Reader:checked(code, start)
  if code > 0x10FFFF or code >= 0xD800 and code <= 0xDFFF then self:fail(start, "U+%04X is no character", code) end
  return code
end

-- The character of n hex digits that must stand here.
function Reader:hex(n, start)
  local digits = self:match(("%x"):rep(n))
  if not digits then self:fail(start, "an escape of %d hex digits expected", n) end
  return self:checked(tonumber(digits, 16), start)
end

-- Calls read one level deeper.
function Reader:deeper(at, read)
  self.depth = self.depth + 1
  if self.depth > Reader.MOST_DEPTH then self:fail(at, "nested more than %d deep", Reader.MOST_DEPTH) end
  local node = read()
  self.depth = self.depth - 1
  return node
end

-- The bounds of a repetition behind its brace, "3}", "3,}" or "3,5}": least and most.
function Reader:bounds(start)
  local least = self:match "%d+"
  local most = least
  if not least then self:fail(start, "a number expected after {") end
  if self:match " *, *" then most = self:match "%d+" end
  if not self:accept "}" then self:fail(nil, "} expected") end
  least, most = tonumber(least), most and tonumber(most)
  if most and most < least then self:fail(start, "{%d,%d}: the least is more than the most", least, most) end
  if math.max(least, most or 0) > 100000 then self:fail(start, "a repetition of at most 100000 expected") end
  return math.tointeger(least), most and math.tointeger(most)
end

return Reader
