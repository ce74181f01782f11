-- A character's words, made a few milliseconds at a time between a game's frames. LÖVE's Lua is LuaJIT, but any host
-- with Lua 5.4 and a loop of its own uses it like this:
--
--   local speech = Speech.new(model, "The dragon says:", { max_new_tokens = 40 })
--   function update() text = text .. speech:advance(0.005) end      -- each frame: 5 ms of work
local Speech = {}
Speech.__index = Speech

local SLICE = 8 -- tokens of a prompt that are run in one call: no call takes longer than this many tokens

-- The work itself: it yields whenever the host may look at its clock, with the text that is new.
local function work(model, prompt, options)
  local session <close> = model:session { seed = options.seed }
  local ids = model.tokenizer:encode(prompt, { bos = true })
  for first = 1, #ids, SLICE do
    session:feed(table.move(ids, first, math.min(first + SLICE - 1, #ids), 1, {}))
    coroutine.yield ""
  end
  local shown, new, text = 0, {}, ""
  for id in session:stream(options) do
    new[#new + 1] = id
    text = model.tokenizer:decode(new)
    local piece = text:sub(shown + 1)
    local whole = utf8.len(piece) or #piece > 3 -- no part of a character, unless it will never be one
    coroutine.yield(whole and piece or "")
    if whole then shown = #text end
  end
  coroutine.yield(text:sub(shown + 1))
end

-- @tparam[opt] table options as for session:stream; the end of text stops where they do not say otherwise
-- @func[opt] clock returns seconds
function Speech.new(model, prompt, options, clock)
  local all = { stop = model.tokenizer.eos }
  for name, value in pairs(options or {}) do all[name] = value end
  local thread = coroutine.create(function() work(model, prompt, all) end)
  return setmetatable({ thread = thread, clock = clock or os.clock }, Speech)
end

-- Works for about `seconds`, at least one step; returns the text that is new, and whether there is more to come.
function Speech:advance(seconds)
  local start, text = self.clock(), {}
  while coroutine.status(self.thread) ~= "dead" do
    local done, piece = coroutine.resume(self.thread)
    if not done then error(piece, 0) end
    text[#text + 1] = piece
    if self.clock() - start >= seconds then break end
  end
  return table.concat(text), coroutine.status(self.thread) ~= "dead"
end

return Speech
