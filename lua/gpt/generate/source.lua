-- Where logits come from. A source serves rows, each with `ids`, all its tokens:
--
--   source:advance(rows)    -- pick: pick(i) returns a tensor, and the position in it of the logits behind rows[i].ids;
--                              or nil, where not all of rows[i].ids has been run yet
--   source:append(row, n)   -- tokens were added to row.ids, of which the first n count
--   source:close(row, kept) -- the end of a row, `kept` of its new tokens having been returned
--
-- Past context_length only the last context_length tokens are run, afresh: positions are learned, so none can be kept.
local core = require "gpt.core"
local slices = require "gpt.generate.slices"
local validate = require "gpt.support.validate"

local source = {}

-- The last n of ids, all of them where there are fewer.
local function window(ids, n)
  return table.move(ids, math.max(1, #ids - n + 1), #ids, 1, {})
end

-- Feeds, and lets go of the logits of the feed before: the collector would be late.
local function feed(self, sessions, lists)
  if self.logits then self.logits:free() end
  self.logits = core.feed(sessions, lists)
  return self.logits
end

local AHEAD = 256 -- new tokens that a session has room for at once

--- How many tokens a session of a row gets room for at once: its prompt, and what comes soon, so that steps seldom ask
-- for memory. All of a long limit would be had, and paid for, before the first token.
function source.room(row, context_length)
  return math.min(#row.ids + math.min(row.limit, AHEAD), context_length)
end

local Sessions = {}
Sessions.__index = Sessions

-- A new session for each row.
local Fresh = {}
Fresh.__index = Fresh

function Fresh:open(row)
  local session = self.model:session { use_cache = self.use_cache, hooks = self.hooks }
  return session:reserve(source.room(row, self.context_length))
end

function Fresh.close(_, row)
  row.session:free()
end

-- A session for each row, all advanced together.
-- @tparam Model model
-- @int context_length
-- @bool use_cache
-- @param hooks of all sessions (gpt.hooks makes them), or nil
function source.sessions(model, context_length, use_cache, hooks)
  local store = { model = model, context_length = context_length, use_cache = use_cache, hooks = hooks }
  return source.stored(setmetatable(store, Fresh), context_length)
end

-- The same with sessions from a store: its `open(row)` returns one, which may hold tokens that row.ids begins with, and
-- `close(row)` takes it back. Prompts take part in slices: a pass has at most `slice` of their tokens (without it all
-- of them), so that rows that are past theirs do not wait longer.
function source.stored(store, context_length, slice)
  return setmetatable({ store = store, context_length = context_length, slice = slice or math.huge }, Sessions)
end

-- Where in row.ids the next token to be fed is. What the session holds are those from row.first on. Where that is all,
-- a pass had no memory left to return its logits: the last token is fed again.
local function next_index(row, context_length)
  local first, session = math.max(row.first, #row.ids - context_length + 1), row.session
  if first > row.first then session:rewind(0) end
  row.first = first
  if first + session.length > #row.ids then session:rewind(#row.ids - first) end
  return first + session.length
end

-- What rows lack until all their tokens are fed: for each where that begins, and how many there are.
local function find_missing(self, rows)
  local starts, counts = {}, {}
  for i, row in ipairs(rows) do
    row.session = row.session or self.store:open(row)
    row.first = row.first or 1
    starts[i] = next_index(row, self.context_length)
    counts[i] = #row.ids - starts[i] + 1
  end
  return starts, counts
end

function Sessions:advance(rows)
  local starts, counts = find_missing(self, rows)
  local shares = slices.share(counts, self.slice)
  local sessions, lists, places = {}, {}, {}
  for i, row in ipairs(rows) do
    if shares[i] > 0 then
      local n = #sessions + 1
      sessions[n], lists[n] = row.session, table.move(row.ids, starts[i], starts[i] + shares[i] - 1, 1, {})
      if shares[i] == counts[i] then places[i] = n end
    end
  end
  local logits = feed(self, sessions, lists)
  return function(i) return places[i] and logits, places[i] end
end

function Sessions.append() end

function Sessions:close(row)
  if row.session then self.store:close(row) end
  row.session = nil
end

local Held = {}
Held.__index = Held

-- One session that its owner holds. It goes on from what was fed, and keeps the new tokens that were returned.
function source.held(session, context_length)
  return setmetatable({ session = session, context_length = context_length, fed = 0, before = session.length }, Held)
end

-- Its logits are not kept between calls: the last token is fed again.
function Held:advance(rows)
  if not self.logits then
    self.session:rewind(self.session.length - 1)
    feed(self, { self.session }, { { rows[1].ids[#rows[1].ids] } })
  end
  return function() return self.logits, -1 end
end

function Held:append(row, n)
  local new = table.move(row.ids, self.before + self.fed + 1, n, 1, {})
  if #new == 0 then return end
  if self.session.length + #new > self.context_length then
    self.session:rewind(0)
    new = window(table.move(row.ids, 1, n, 1, {}), self.context_length)
  end
  feed(self, { self.session }, { new })
  self.fed = n - self.before
end

function Held:close(_, kept)
  self.session:rewind(math.max(self.session.length - (self.fed - kept), 0))
  self.fed = kept
end

local Whole = {}
Whole.__index = Whole

function Whole:advance(rows)
  local logits = {}
  for i, row in ipairs(rows) do logits[i] = self.run(window(row.ids, self.context_length)) end
  return function(i) return logits[i], -1 end
end

function Whole.append() end

function Whole.close() end

local function check_logits(what, logits)
  local dtype, shape
  if core.is_tensor(logits) then dtype, shape = logits:dtype(), logits:shape() end
  if dtype == "f32" and #shape <= 3 and (#shape < 3 or shape[1] == 1) and #shape > 0 then
    local size = 1
    for _, n in ipairs(shape) do size = size * n end
    if size > 0 then return logits end
  end
  local got = dtype and ("%s of shape [%s]"):format(dtype, table.concat(shape, ", ")) or validate.show(logits)
  return core._raise(("%s: the function has to return f32 logits of shape [tokens, vocab_size] or "
    .. "[1, tokens, vocab_size], got %s"):format(what, got))
end

-- A function of the user's from an array of ids to logits, of which the last row counts; a layer gets an i64 tensor
-- [1, tokens]. Nothing is recorded, and nothing drops.
function source.of_function(what, fn, context_length)
  local is_layer = type(fn) == "userdata"
  local function run(ids)
    return check_logits(what, core._infer(fn, is_layer and core.tensor({ ids }) or ids))
  end
  return setmetatable({ run = run, context_length = context_length }, Whole)
end

return source
