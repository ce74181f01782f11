-- What one prompt's new tokens become: ids or text, held back while they may belong to a stop string or to half a
-- character, and cut where a stop begins. A token counts where it ends before the stop.
local characters = require "gpt.generate.characters"
local Stop = require "gpt.generate.stop"

local CONTINUED = { continued = true } -- a blank at the beginning of a piece belongs to the text

local Output = {}
Output.__index = Output

-- settings: { stop_ids = set, stop_strings = list of words (stop.lua), tokenizer, text = returns text,
-- limit = most new tokens }
function Output.new(settings)
  local follows = settings.text or #settings.stop_strings > 0
  return setmetatable({
    settings = settings,
    follows = follows,         -- needs the text of the tokens
    drawn = 0,                 -- tokens that came
    done = settings.limit == 0,
    reason = settings.limit == 0 and "length" or nil, -- why it is done: "stop", "length", "complete"
    ids = {}, logprobs = {},   -- tokens let out
    taken = 0,                 -- of these, how many the reader took
    pieces = {},               -- text let out
    ready = "",                -- of this, what the reader did not take yet
    stop = Stop.new(settings.stop_strings),
    held = {}, first = 1, last = 0, -- tokens not let out: { id, logprob, finish = where its text ends }
    held_text = "",
    before = 0,                -- bytes let out, before held_text
  }, Output)
end

local function let_token_out(self, id, logprob)
  self.ids[#self.ids + 1] = id
  self.logprobs[#self.logprobs + 1] = logprob
end

-- Lets the tokens out whose text was let out.
local function let_tokens_out(self)
  local token = self.held[self.first]
  while token and token.finish <= self.before do
    let_token_out(self, token.id, token.logprob)
    self.held[self.first], self.first = nil, self.first + 1
    token = self.held[self.first]
  end
end

-- Lets the first n bytes of the held text out, and the tokens that end there.
local function let_out(self, n)
  if self.settings.text and n > 0 then
    self.pieces[#self.pieces + 1] = self.held_text:sub(1, n)
    self.ready = self.ready .. self.pieces[#self.pieces]
  end
  self.held_text, self.before = self.held_text:sub(n + 1), self.before + n
  let_tokens_out(self)
end

-- Nothing more will come.
local function finish(self, reason)
  self.done, self.reason, self.held, self.held_text = true, reason, {}, ""
end

local function follow(self, id, logprob)
  local piece, held = self.settings.tokenizer:decode({ id }, CONTINUED), #self.held_text
  self.held_text = self.held_text .. piece
  self.last = self.last + 1
  self.held[self.last] = { id = id, logprob = logprob, finish = self.before + #self.held_text }
  local at, waiting = self.stop:add(piece)
  if at then
    let_out(self, held + at - 1)
    return finish(self, "stop")
  end
  local safe = #self.held_text - waiting
  if self.settings.text then safe = safe - characters.unfinished(self.held_text:sub(1, safe)) end
  let_out(self, safe)
end

-- Takes the next token.
function Output:add(id, logprob)
  self.drawn = self.drawn + 1
  local stopped = self.settings.stop_ids[id]
  if not stopped then
    if self.follows then follow(self, id, logprob) else let_token_out(self, id, logprob) end
  end
  if not self.done and (stopped or self.drawn == self.settings.limit) then
    let_out(self, #self.held_text)
    finish(self, stopped and "stop" or "length")
  end
end

-- Ends it behind the last token.
function Output:complete()
  let_out(self, #self.held_text)
  finish(self, "complete")
end

-- Will the last token not be part of the result?
function Output:dropped()
  return self.done and #self.ids < self.drawn
end

-- What is new since the last call: for text a piece and the log probabilities of the tokens that end in it, otherwise
-- an id and its log probability; nil where nothing is.
function Output:take()
  if not self.settings.text then
    if self.taken == #self.ids then return nil end
    self.taken = self.taken + 1
    return self.ids[self.taken], self.logprobs[self.taken]
  end
  local piece = self.ready
  if piece == "" then return nil end
  local logprobs = table.move(self.logprobs, self.taken + 1, #self.logprobs, 1, {})
  self.ready, self.taken = "", #self.ids
  return piece, logprobs
end

-- All text that was let out.
function Output:text()
  return table.concat(self.pieces)
end

return Output
