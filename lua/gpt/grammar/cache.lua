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

-- The entries, those used last first, without the oldest ones that are past the bounds.
local function within_bounds(self, all)
  local bytes, count = 0, 0
  while count < math.min(#all, MOST_TEXTS) do
    bytes = bytes + bytes_of(all[count + 1])
    if bytes > self.most_bytes then break end
    count = count + 1
  end
  return table.move(all, 1, count, 1, {})
end

local function find(list, key)
  for _, entry in ipairs(list) do
    if entry.key == key then return entry end
  end
end

-- The grammar of a key, or what make() makes. The list is exchanged at once: an interrupt leaves the old one.
function Cache:get(key, make)
  local entry = find(self.list, key) or { key = key, grammar = make() }
  local all = { entry }
  for _, other in ipairs(self.list) do
    if other ~= entry then all[#all + 1] = other end
  end
  self.list = within_bounds(self, all)
  return entry.grammar
end

return Cache
