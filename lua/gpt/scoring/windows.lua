-- Windows over a stream of token ids: each begins `stride` tokens after the one before and has up to `length` tokens,
-- of which those count that no window had before. The first token of a window has none before it, and never counts.
local core = require "gpt.core"

local Windows = {}
Windows.__index = Windows

--- @func put called with a window's ids, and the place of the first one that counts
function Windows.new(length, stride, put)
  return setmetatable({ length = length, stride = stride, emit = put, ids = {}, begins = 0, seen = 0, ended = 0 },
    Windows)
end

-- The window at place `at` of the ids held, up to their end or its length.
local function emit(self, at)
  local last = math.min(at + self.length, #self.ids)
  local ends = self.begins + last - at
  self.emit(table.move(self.ids, at + 1, last, 1, {}), math.max(2, self.ended - self.begins + 1))
  self.ended = ends
end

--- Takes more ids, an array or a tensor [n].
function Windows:put(list)
  list = core.is_tensor(list) and list:totable() or list
  table.move(list, 1, #list, #self.ids + 1, self.ids)
  self.seen = self.seen + #list
  local at = 0
  while #self.ids - at >= self.length do
    emit(self, at)
    at, self.begins = at + self.stride, self.begins + self.stride
  end
  if at > 0 then self.ids = table.move(self.ids, at + 1, #self.ids, 1, {}) end
end

--- No more ids come: what is left is a window too.
function Windows:finish()
  if self.seen > self.ended and #self.ids > 0 then emit(self, 0) end
end

return Windows
