-- Grammars by their texts, of those used last: no more than a number of texts, and of bytes along with what was found
-- out under them. Matchers learn while texts are generated, so bytes are counted whenever a grammar is asked for.
local matchers = require "gpt.grammar.matchers"

local Cache = {}
Cache.__index = Cache

local MOST_TEXTS, MOST_BYTES = 50, 128 << 20

-- most_bytes: for specs
function Cache.new(most_bytes)
  return setmetatable({ list = {}, most_bytes = most_bytes or MOST_BYTES }, Cache)
end

local function bytes_of(entry) return #entry.key + matchers.bytes(entry.grammar) end

-- Drops those that were used longest ago until the others are within bounds.
function Cache:shrink()
  local bytes, first = 0, #self.list + 1
  while first > 1 do
    bytes = bytes + bytes_of(self.list[first - 1])
    if bytes > self.most_bytes or #self.list - first + 2 > MOST_TEXTS then break end
    first = first - 1
  end
  self.list = table.move(self.list, first, #self.list, 1, {})
end

-- The entry of a key, taken out of the list, or nil.
local function take(list, key)
  for i, entry in ipairs(list) do
    if entry.key == key then return table.remove(list, i) end
  end
end

-- The grammar of a key, or what make() makes.
function Cache:get(key, make)
  local entry = take(self.list, key) or { key = key, grammar = make() }
  table.insert(self.list, entry)
  self:shrink()
  return entry.grammar
end

return Cache
