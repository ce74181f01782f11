-- What a chat remembers in tokens: a session, of which only what is new is computed; or nothing, over a function.
local core = require "gpt.core"
local source = require "gpt.generate.source"

local memory = {}

local SLICE = 512 -- tokens of a prompt in one call: Ctrl-C takes effect in between

local Session = {}
Session.__index = Session

function memory.of_session(session) return setmetatable({ session = session }, Session) end

local function common_length(a, b)
  local n = 0
  while a[n + 1] ~= nil and a[n + 1] == b[n + 1] do n = n + 1 end
  return n
end

--- Keeps what the session shares with ids, but not all of them: the last one's logits are wanted. Returns how many.
function Session:resume(ids)
  local known = math.min(common_length(self.session:ids(), ids), #ids - 1)
  self.session:rewind(known)
  return known
end

--- The logits behind the last of ids, of which the session has seen the first.
function Session:logits(ids)
  while self.session.length < #ids do
    local first = self.session.length + 1
    local slice = table.move(ids, first, math.min(first + SLICE - 1, #ids), 1, {})
    if self.last then self.last:free() end -- the collector would be late
    self.last = core.feed({ self.session }, { slice })
  end
  return self.last
end

function Session:keep(n)
  if self.session.length > n then self.session:rewind(n) end
end

local Function = {}
Function.__index = Function

function memory.of_function(what, fn, context_length)
  return setmetatable({ source = source.of_function(what, fn, context_length) }, Function)
end

function Function.resume() return 0 end

function Function:logits(ids) return (self.source:advance { { ids = ids } }(1)) end

function Function.keep() end

return memory
