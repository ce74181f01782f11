-- A generation under way: rows of tokens that grow together, one token a step.
local core = require "gpt.core"
local Output = require "gpt.generate.output"
local process = require "gpt.generate.process"
local tokenizers = require "gpt.generate.tokenizers"

local Run = {}
Run.__index = Run

-- The set of ids that stop a row: those asked for, and for text the tokenizer's end tokens.
local function stop_ids(settings, row)
  local ids = {}
  for id in pairs(settings.stop.ids) do ids[id] = true end
  if row.form == "text" and not settings.stop.none then
    for _, id in ipairs(tokenizers.ends(settings.tokenizer)) do ids[id] = true end
  end
  return ids
end

local function make_row(what, settings, prompt, i)
  local random = settings.random or core._generator(settings.given, what, i - 1)
  local row = { ids = table.move(prompt.ids, 1, #prompt.ids, 1, {}), limit = settings.max_new_tokens }
  row.sampler = core._sampler(settings.given, what, random)
  row.sampler:see(row.ids)
  row.output = Output.new {
    stop_ids = stop_ids(settings, prompt),
    stop_strings = settings.stop.strings,
    tokenizer = settings.tokenizer,
    text = prompt.form == "text",
    limit = settings.max_new_tokens,
  }
  return row
end

-- prompts: as prompt.read returns them. settings: as options.read does, with tokenizer and perhaps random.
-- In a batch row i draws from a generator of its own, seeded with seed + i - 1.
function Run.new(what, source, prompts, settings)
  local run = setmetatable({
    what = what, source = source, rows = {}, outputs = {},
    logprobs = settings.logprobs, process = settings.process, on_finish = settings.on_finish,
    turn = nil, -- a step that is under way: the rows, their numbers, where their logits are, and which is the next
  }, Run)
  for i, prompt in ipairs(prompts.rows) do
    run.rows[i] = make_row(what, settings, prompt, i)
    run.outputs[i] = run.rows[i].output
  end
  return run
end

-- An id drawn from the logits, and its log probability by the model where that is wanted.
local function draw(self, row, logits, position)
  if not self.process then return row.sampler:draw(logits, position, self.logprobs) end
  local changed = process(self.what, self.process, logits, position, row.ids)
  local id = row.sampler:draw(changed, 1)
  return id, self.logprobs and core._log_probability(logits, position, id)
end

local function add(self, row, id, logprob)
  row.output:add(id, logprob)
  row.ids[#row.ids + 1] = id
  if not row.output:dropped() then self.source:append(row) end
end

local function tell(self, i)
  local row = self.rows[i]
  if row.told or not row.output.done then return end
  row.told = true
  if self.on_finish then self.on_finish(row.output.reason, i) end
end

-- The logits for every row that is not done; nil where all are.
local function begin_turn(self)
  local active = {}
  for i, row in ipairs(self.rows) do
    tell(self, i)
    if not row.output.done then active[#active + 1] = i end
  end
  if #active == 0 then return nil end
  local rows = {}
  for i, at in ipairs(active) do rows[i] = self.rows[at] end
  return { rows = rows, numbers = active, pick = self.source:advance(rows), at = 1 }
end

-- One more token for every row that is not done; false where all are. After an error in a function of the user's the
-- next call goes on where it was.
function Run:step()
  self.turn = self.turn or begin_turn(self)
  local turn = self.turn
  if not turn then return false end
  while turn.at <= #turn.rows do
    local row, number = turn.rows[turn.at], turn.numbers[turn.at]
    local id, logprob = draw(self, row, turn.pick(turn.at))
    turn.at = turn.at + 1
    add(self, row, id, logprob)
    if row.output.done then self.source:close(row, #row.output.ids) end
    tell(self, number)
  end
  self.turn = nil
  return true
end

-- What is new: for each output a value and a log probability, as Output:take returns them. At the end nil.
function Run:next_of(output)
  repeat
    local value, logprob = output:take()
    if value then return value, logprob end
  until not self:step()
end

-- The same for all rows at once: tables from row to value and to log probability.
function Run:next_of_all()
  repeat
    local values, logprobs = {}, {}
    for i, output in ipairs(self.outputs) do values[i], logprobs[i] = output:take() end
    if next(values) then return values, self.logprobs and logprobs or nil end
  until not self:step()
end

-- Lets go of the sessions. Before the end: what the reader took counts as returned.
function Run:close()
  self.turn = nil
  for _, row in ipairs(self.rows) do
    if not row.output.done then
      row.output.done = true
      self.source:close(row, row.output.taken)
    end
  end
end

Run.__close = Run.close

return Run
