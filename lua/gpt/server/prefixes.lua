-- Sessions of conversations that ended: one that begins with the same tokens goes on from there. The source of the
-- generating loop takes its sessions from here (source.stored).
local core = require "gpt.core"
local guard = require "gpt.server.guard"

local Prefixes = {}
Prefixes.__index = Prefixes

local LEAST = 8 -- tokens that are worth a copy

-- settings: `cache_dtype`, `context_length`, `most` sessions kept with `most_tokens` in all
function Prefixes.new(model, settings)
  return setmetatable({
    model = model, settings = settings,
    idle = {},  -- what is kept, the latest used last: { session, ids }, ids being what the session holds, or more
    tokens = 0, -- in these
    busy = {},  -- rows with sessions that are being fed
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

-- The session that holds the longest beginning of ids: it, the number of tokens, and its place among the idle ones.
local function find(self, ids)
  local best, most, place = nil, 0, nil
  local function look(session, its, i)
    local n = common(ids, its, math.min(session.length, #ids - 1)) -- the last token is fed: its logits are wanted
    if n > most then best, most, place = session, n, i end
  end
  for row in pairs(self.busy) do look(row.session, row.ids, nil) end
  for i, kept in ipairs(self.idle) do look(kept.session, kept.ids, i) end
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

--- Lets go of all that is kept: after a change of the model's weights, which what was computed does not follow.
function Prefixes:clear()
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
local function take(self, ids)
  local session, n, place = find(self, ids)
  if not session or n < LEAST then return with_room(self, fresh, self) end
  if place and n == session.length then return remove(self, place) end
  local ok, made = guard(copy, session, n)
  return ok and made or with_room(self, fresh, self)
end

--- A session for a row, with room for all its tokens.
function Prefixes:open(row)
  local session = take(self, row.ids)
  row.session, row.cached = session, session.length
  self.busy[row] = true
  local most = math.min(#row.ids + row.limit, self.settings.context_length)
  with_room(self, session.reserve, session, most)
  return session
end

-- One of the same tokens, or of fewer of them, that is kept already goes.
local function keep(self, row, session)
  for i = #self.idle, 1, -1 do
    local other = self.idle[i]
    local n = other.session.length
    if n <= session.length and common(other.ids, row.ids, n) == n then remove(self, i):free() end
  end
  table.insert(self.idle, { session = session, ids = row.ids })
  self.tokens = self.tokens + session.length
  while #self.idle > self.settings.most or self.tokens > self.settings.most_tokens and #self.idle > 1 do self:drop() end
end

--- Keeps a row's session, where it is worth that and there is memory.
function Prefixes:close(row)
  local session = row.session
  self.busy[row] = nil
  if session.length < LEAST or row.broken or self.settings.most == 0 then return session:free() end
  if not guard(keep, self, row, session) then session:free() end
end

return Prefixes
