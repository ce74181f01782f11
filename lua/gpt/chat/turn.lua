-- A turn under way: the user's message is there, the assistant's grows. However it ends, the chat stays usable: what
-- the reader took of an answer is its message; of a turn without an answer nothing stays.
local Run = require "gpt.generate.run"
local core = require "gpt.core"
local items = require "gpt.support.items"
local printed = require "gpt.support.printed"
local room = require "gpt.chat.room"

local Turn = {}
Turn.__index = Turn

local function copied(list)
  local copy = {}
  for i, item in items(list) do copy[i] = item end
  return copy
end

-- Makes a list equal to another; it stays the table that the user may hold.
local function assign(list, other)
  for i = #list, 1, -1 do list[i] = nil end
  table.move(other, 1, #other, 1, list)
end

-- What Run asks for logits. Past the context's end the oldest turns go, and what stays is run again.
local Source = {}
Source.__index = Source

function Source:advance(rows)
  local row, turn = rows[1], self.turn
  if #row.ids > turn.chat.context_length then
    local answer = table.move(row.ids, #turn.prompt.ids + 1, #row.ids, 1, {})
    turn:make_room(#answer)
    row.ids = table.move(answer, 1, #answer, #turn.prompt.ids + 1, copied(turn.prompt.ids))
    turn.memory:resume(row.ids)
  end
  local logits = turn.memory:logits(row.ids)
  turn.prompt_done = turn.prompt_done or core._now()
  return function() return logits, -1 end
end

function Source.append() end

function Source:close(_, kept) self.turn.memory:keep(#self.turn.prompt.ids + kept) end

-- The run of an answer, whose end tokens and the template's own stop it.
local function start(turn, settings, limit)
  if not settings.stop.none and turn.chat._turn_end then settings.stop.ids[turn.chat._turn_end] = true end
  settings.max_new_tokens, settings.tokenizer = limit, turn.chat.tokenizer
  if settings.given.seed == nil then settings.random = turn.chat._random end
  local row = { form = "text", text = turn.prompt.text, ids = turn.prompt.ids }
  return Run.new(turn.what, setmetatable({ turn = turn }, Source), { rows = { row } }, settings)
end

-- Begins one: the message is the last of the chat's.
function Turn.begin(what, chat, message, settings)
  local turn = setmetatable({
    what = what, chat = chat, settings = settings, memory = chat._memory, over = false, began = core._now(),
    before = { messages = copied(chat.messages), forgotten = copied(chat.forgotten) },
    answer = nil, -- the assistant's message, from its first piece on
  }, Turn)
  chat._turn = turn
  table.insert(chat.messages, message)
  local limit
  turn.prompt, limit = room.fit(what, chat, settings)
  turn.run = start(turn, settings, limit)
  turn.output = turn.run.outputs[1]
  turn.cached = turn.memory:resume(turn.prompt.ids)
  return turn
end

-- In the middle of an answer.
function Turn:make_room(behind)
  local list = self.chat.messages
  local answer = self.answer and list[#list] == self.answer and table.remove(list)
  self.prompt = room.make(self.what, self.chat, list, self.settings, behind)
  if answer then table.insert(list, answer) end
end

local function add(self, piece)
  if not self.answer then
    self.answer = { role = "assistant", content = "" }
    table.insert(self.chat.messages, self.answer)
  end
  self.answer.content = self.answer.content .. piece
end

-- The next piece of the answer; nil at its end.
function Turn:next()
  if self.over then return nil end
  local piece = self.run:next_of(self.output)
  if piece then
    add(self, piece)
  else
    add(self, "")
    self:finish()
  end
  return piece
end

-- What the chat has heard: its text and ids, where these are the text's. Otherwise what it had heard before stays: it
-- still begins the next text.
local function remember(self, answer)
  local chat, ids = self.chat, copied(self.prompt.ids)
  local new = table.move(self.output.ids, 1, self.output.taken, 1, {})
  if chat.tokenizer:decode(new) ~= answer then return end
  chat._heard = { text = self.prompt.text .. answer, ids = table.move(new, 1, #new, #ids + 1, ids) }
end

local function report(self)
  local now = core._now()
  self.chat.usage = printed {
    prompt_seconds = (self.prompt_done or now) - self.began, seconds = now - (self.prompt_done or now),
    prompt_tokens = #self.prompt.ids, cached_tokens = self.cached, completion_tokens = self.output.drawn,
    finish_reason = self.output.reason or "interrupted",
  }
end

-- The end: of the answer, or the reader left.
function Turn:finish()
  if self.over then return end
  self.over, self.chat._turn = true, nil
  if self.run then self.run:close() end
  if not self.answer then return self:undo() end
  remember(self, self.answer.content)
  report(self)
end

-- As if it had not been.
function Turn:undo()
  assign(self.chat.messages, self.before.messages)
  assign(self.chat.forgotten, self.before.forgotten)
end

function Turn:__close() self:finish() end

return Turn
