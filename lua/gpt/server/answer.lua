-- What one request gets: its rows grow in the scheduler, and what is new goes to the client, at once or in the end.
local Problem = require "gpt.server.problem"
local json = require "gpt.support.json"
local text = require "gpt.server.text"

local Answer = {}
Answer.__index = Answer

-- settings: `kind` (kinds.lua), `rows`, `exchange` (where it goes), `model` (its name), `id`, `created`, `stream`,
-- `include_usage`, `logprobs`, `deadline`
function Answer.new(settings)
  local answer = setmetatable(settings, Answer)
  answer.over = false
  answer.state = {} -- by row: its text, tokens taken, characters so far, why it has ended
  for i, row in ipairs(answer.rows) do
    answer.state[row] = { index = i - 1, pieces = {}, taken = 0, offset = 0, reason = nil }
  end
  return answer
end

local function frame(self, object, choices)
  return {
    id = self.kind.id .. self.id, object = object, created = self.created, model = self.model,
    choices = json.array(choices),
  }
end

local function send(self, choice)
  local event = frame(self, self.kind.event_object, { choice })
  if self.include_usage then event.usage = json.null end
  self.exchange:event(event)
end

local function begin(self)
  if self.begun then return end
  self.exchange:begin_stream()
  self.begun = true
  for _, row in ipairs(self.rows) do
    local choice = self.kind.first(self.state[row].index)
    if choice then send(self, choice) end
  end
end

-- What was measured of the tokens that are new, in the kind's form; nil where that is not wanted.
local function take_measured(self, state, measured)
  if not self.logprobs then return nil end
  local form
  form, state.offset = self.kind.logprobs.join(measured, state.offset)
  return form
end

-- Bytes that are no character of UTF-8 come one by one, where the model writes them.
local function take_piece(self, row, state)
  local piece, measured = row.output:take()
  if not piece then return end
  state.taken = row.output.taken
  if self.stream then
    begin(self)
    return send(self, self.kind.piece(state.index, text.clean(piece), take_measured(self, state, measured)))
  end
  state.pieces[#state.pieces + 1] = piece
end

-- The row has ended. Tokens without text, and what is measured of them, come with the end.
local function end_row(self, row, state, reason)
  state.reason = reason
  if not self.stream then return end
  begin(self)
  local rest = table.move(row.output.logprobs, state.taken + 1, #row.output.logprobs, 1, {})
  send(self, self.kind.last(state.index, reason, #rest > 0 and take_measured(self, state, rest) or nil))
end

-- Tokens of all rows. cached: those of prompts that were found in the cache.
local function usage(self)
  local prompt, new, cached = 0, 0, 0
  for _, row in ipairs(self.rows) do
    new = new + row.output.drawn
    prompt = prompt + row.prompt_length
    cached = cached + (row.cached or 0)
  end
  return {
    prompt_tokens = prompt, completion_tokens = new, total_tokens = prompt + new,
    prompt_tokens_details = { cached_tokens = cached },
  }
end

local function end_stream(self)
  if self.include_usage then
    local event = frame(self, self.kind.event_object, {})
    event.usage = usage(self)
    self.exchange:event(event)
  end
  self.exchange:end_stream()
end

local function send_whole(self)
  local choices = {}
  for i, row in ipairs(self.rows) do
    local state = self.state[row]
    choices[i] = self.kind.choice(state.index, text.clean(table.concat(state.pieces)), state.reason,
      take_measured(self, state, row.output.logprobs))
  end
  local whole = frame(self, self.kind.object, choices)
  whole.usage = usage(self)
  self.exchange:json(200, whole)
end

local function finish(self)
  for _, row in ipairs(self.rows) do
    if not self.state[row].reason then return end
  end
  if self.stream then end_stream(self) else send_whole(self) end
  self.over = true
end

--- Passes on what is new in a row. Returns whether all rows have ended.
function Answer:update(row)
  local state = self.state[row]
  if self.over or state.reason then return self.over end
  take_piece(self, row, state)
  if row.output.done then
    end_row(self, row, state, row.output.reason == "length" and "length" or row.output.reason and "stop" or "length")
    finish(self)
  end
  return self.over
end

local function end_with(self, problem)
  self.exchange:event(problem:body(json.null))
  self.exchange:end_stream()
end

--- Ends it with a problem: as the response, or where that has begun as the stream's last event.
-- @param problem a Problem, or another error
-- @tparam[opt] string message what a client is told of an error
function Answer:fail(problem, message)
  if self.over then return end
  self.over = true
  if self.begun then self.exchange:try(end_with, self, Problem.of(problem, message))
  else self.exchange:fail(problem, message) end
end

return Answer
