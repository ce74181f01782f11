-- What waits to be written to a client: pieces of text, which stay as they are. Only small ones are joined, so that
-- what a step writes leaves as one.
local Outbox = {}
Outbox.__index = Outbox

local TOGETHER = 65536 -- bytes that are joined, at most

function Outbox.new()
  return setmetatable({
    bytes = 0,           -- not written yet
    pieces = {}, first = 1, last = 0,
    written = 0,         -- bytes of the first piece
  }, Outbox)
end

--- Takes a piece.
function Outbox:add(text)
  if text == "" then return end
  self.pieces[self.last + 1] = text
  self.last, self.bytes = self.last + 1, self.bytes + #text
end

-- Makes one piece of the first ones, as many as leave together.
local function join(self)
  local pieces, last, bytes = self.pieces, self.first, #self.pieces[self.first]
  while last < self.last and bytes + #pieces[last + 1] <= TOGETHER do
    last = last + 1
    bytes = bytes + #pieces[last]
  end
  if last == self.first then return end
  pieces[last] = table.concat(pieces, "", self.first, last)
  for i = self.first, last - 1 do pieces[i] = nil end
  self.first = last
end

--- A text that is to be written next, and how many of its bytes are; nil where nothing waits.
function Outbox:next()
  if self.bytes == 0 then return nil end
  if self.written == 0 then join(self) end
  return self.pieces[self.first], self.written
end

--- n more bytes of that text are written.
function Outbox:wrote(n)
  self.written, self.bytes = self.written + n, self.bytes - n
  if self.written < #self.pieces[self.first] then return end
  self.pieces[self.first] = nil
  self.first, self.written = self.first + 1, 0
end

return Outbox
