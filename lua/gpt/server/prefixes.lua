-- Sessions of conversations that ended: one that begins with the same tokens goes on from there. The source of the
-- generating loop takes its sessions from here (source.stored).
local core = require "gpt.core"
local guard = require "gpt.server.guard"
local source = require "gpt.generate.source"

local Prefixes = {}
Prefixes.__index = Prefixes

local LEAST = 8 -- tokens that are worth a copy

-- settings: `cache_dtype`, `context_length`, `most` sessions kept with `most_tokens` in all
function Prefixes.new(model, settings)
  return setmetatable({
    model = model, settings = settings,
    idle = {},  -- what is kept, the latest used last: { session, ids, key }, ids being what the session holds, or more
    tokens = 0, -- in these
    busy = {},  -- rows with sessions that are being fed
    generation = 1, -- of what was computed: another one by each change of the model's weights
  }, Prefixes)
end

-- How many tokens both lists begin with, up to `most`.
local function common(a, b, most)
  most = math.min(#a, #b, most)
  for i = 1, most do
    if a[i] ~= b[i] then return i - 1 end
  end
  return most
end

-- The session that holds the longest beginning of a row: it, the number of tokens, and its place among the idle ones.
-- Who asks with one key learns nothing of what was asked with another one; and rows under way while the weights changed
-- have something of both.
local function find(self, wanted)
  local ids = wanted.ids
  local best, most, place = nil, 0, nil
  local function look(session, its, i)
    local n = common(ids, its, math.min(session.length, #ids - 1)) -- the last token is fed: its logits are wanted
    if n > most then best, most, place = session, n, i end
  end
  for row in pairs(self.busy) do
    if row.key == wanted.key and row.generation == self.generation then look(row.session, row.ids, nil) end
  end
  for i, kept in ipairs(self.idle) do
    if kept.key == wanted.key then look(kept.session, kept.ids, i) end
  end
  return best, most, place
end

local function remove(self, place)
  local kept = table.remove(self.idle, place)
  self.tokens = self.tokens - kept.session.length
  return kept.session
end

--- Lets go of the session that was used longest ago. Returns false where there is none.
function Prefixes:drop()
  if #self.idle == 0 then return false end
  remove(self, 1):free()
  return true
end

--- Lets go of all that is kept, and keeps nothing of what is under way: after a change of the model's weights, which
-- what was computed does not follow.
function Prefixes:clear()
  self.generation = self.generation + 1
  while self:drop() do end -- luacheck: ignore
end

-- fn(...), tried again with less kept where it finds no memory.
local function with_room(self, fn, ...)
  while true do
    local ok, value = guard(fn, ...)
    if ok then return value end
    if not core._is_memory_error(value) or not self:drop() then error(value, 0) end
  end
end

local function fresh(self)
  return self.model:session { cache_dtype = self.settings.cache_dtype }
end

local function copy(session, n)
  return session:fork():rewind(n)
end

-- A kept session is taken where it goes on from its end; where it went on otherwise, or is in use, a copy goes on.
local function take(self, row)
  local session, n, place = find(self, row)
  if not session or n < LEAST then return with_room(self, fresh, self) end
  if place and n == session.length then return remove(self, place) end
  local ok, made = guard(copy, session, n)
  return ok and made or with_room(self, fresh, self)
end

--- A session for a row, with room for those that come soon. Rows with different `key` share nothing.
function Prefixes:open(row)
  local session = take(self, row)
  row.session, row.cached, row.generation = session, session.length, self.generation
  self.busy[row] = true
  with_room(self, session.reserve, session, source.room(row, self.settings.context_length))
  return session
end

-- A session of its first tokens that takes no more memory than they do: the row's had room for all that could come.
-- Both share what they hold.
local function trimmed(session, most)
  local made = session:fork()
  return made.length > most and made:rewind(most) or made
end

-- Lets go of those that hold the same tokens, or fewer of them.
local function drop_beginnings(self, row, length)
  for i = #self.idle, 1, -1 do
    local other = self.idle[i]
    local n = other.session.length
    if other.key == row.key and n <= length and common(other.ids, row.ids, n) == n then remove(self, i):free() end
  end
end

local function keep(self, row)
  local session = trimmed(row.session, self.settings.most_tokens)
  drop_beginnings(self, row, session.length)
  table.insert(self.idle, {
    session = session, ids = table.move(row.ids, 1, session.length, 1, {}), key = row.key,
  })
  self.tokens = self.tokens + session.length
  while #self.idle > self.settings.most or self.tokens > self.settings.most_tokens do self:drop() end
end

local function is_worth_keeping(self, row)
  local length = math.min(row.session.length, self.settings.most_tokens)
  return length >= LEAST and not row.broken and row.generation == self.generation
end

--- Takes a row's session back. What it holds is kept, where that is worth it and there is memory.
function Prefixes:close(row)
  self.busy[row] = nil
  if is_worth_keeping(self, row) then guard(keep, self, row) end
  row.session:free()
end

return Prefixes
