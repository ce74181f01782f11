-- One prompt that grows: its tokens, what draws the next one, and what becomes of the new ones.
local core = require "gpt.core"
local Constraint = require "gpt.generate.constraint"
local Output = require "gpt.generate.output"
local process = require "gpt.generate.process"
local tokenizers = require "gpt.generate.tokenizers"

local Row = {}
Row.__index = Row

-- The set of ids that stop a row: those asked for, and for text, or by a grammar, the tokenizer's end tokens.
local function stop_ids(settings, form)
  local ids = {}
  for id in pairs(settings.stop.ids) do ids[id] = true end
  if (form == "text" or settings.grammar) and not settings.stop.none then
    for _, id in ipairs(tokenizers.ends(settings.tokenizer)) do ids[id] = true end
  end
  return ids
end

local function make_output(settings, form, ends)
  return Output.new {
    stop_ids = ends,
    stop_strings = settings.stop.strings,
    tokenizer = settings.tokenizer,
    text = form == "text",
    limit = settings.max_new_tokens,
  }
end

-- prompt: a row as prompt.read returns it. settings: as options.read does, with tokenizer, perhaps random, and perhaps
-- measure(logits, position, id), whose result takes the place of the log probability. Row `number` of a batch draws
-- from a generator of its own, seeded with seed + number - 1.
function Row.new(what, settings, prompt, number)
  local random = settings.random or core._generator(settings.given, what, number - 1)
  local ends = stop_ids(settings, prompt.form)
  local row = setmetatable({
    what = what, number = number,
    ids = table.move(prompt.ids, 1, #prompt.ids, 1, {}),
    limit = settings.max_new_tokens,
    sampler = core._sampler(settings.given, what, random),
    stop_ids = ends,
    output = make_output(settings, prompt.form, ends),
    constraint = settings.grammar and Constraint.new(what, settings.grammar, settings.tokenizer, ends),
    logprobs = settings.logprobs, measure = settings.measure,
    process = settings.process, on_finish = settings.on_finish,
  }, Row)
  row.sampler:see(row.ids)
  return row
end

-- A token that the grammar leaves no choice about, or nil.
local function forced(self)
  local id = self.constraint and self.constraint:forced()
  if id then self.sampler:see { id } end
  return id
end

local function choose(self, logits, position)
  local cursor = self.constraint and self.constraint.cursor
  if not self.process then return self.sampler:draw(logits, position, self.logprobs, cursor) end
  local changed = process(self.what, self.process, logits, position, self.ids)
  local id = self.sampler:draw(changed, 1, false, cursor)
  return id, self.logprobs and core._log_probability(logits, position, id)
end

-- Does the model have to be run for every token, because its probability is asked for?
local function measured(self) return self.logprobs or self.measure end

local function draw(self, logits, position)
  local id = measured(self) and forced(self)
  if id then return id, self.logprobs and core._log_probability(logits, position, id) end
  local logprob
  id, logprob = choose(self, logits, position)
  if self.constraint and not self.stop_ids[id] then self.constraint:take(id) end
  return id, logprob
end

-- An id drawn from the logits at a position of a tensor of rows; and what was measured, or the id's log probability by
-- the model where that is wanted.
function Row:draw(logits, position)
  local id, logprob = draw(self, logits, position)
  if self.measure then return id, self.measure(logits, position, id) end
  return id, logprob
end

-- The end as the grammar sees it behind a token.
local function check_end(self, id)
  local output, constraint = self.output, self.constraint
  if not output.done then
    if constraint:complete() then output:complete() end
  elseif self.stop_ids[id] and constraint:can_end() or output.reason == "length" and constraint:complete() then
    output.reason = "complete"
  end
end

-- The next token.
function Row:add(id, logprob)
  self.output:add(id, logprob)
  self.ids[#self.ids + 1] = id
  if self.constraint then check_end(self, id) end
end

-- The next ones as long as they must follow, without the model.
function Row:add_forced()
  while self.constraint and not measured(self) and not self.output.done do
    local id = forced(self)
    if not id then return end
    self:add(id)
  end
end

-- Tells on_finish of the end, once.
function Row:tell()
  if self.told or not self.output.done then return end
  self.told = true
  if self.on_finish then self.on_finish(self.output.reason, self.number) end
end

return Row
