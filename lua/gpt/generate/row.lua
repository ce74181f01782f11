-- One prompt that grows: its tokens, what draws the next one, and what becomes of the new ones.
local core = require "gpt.core"
local Output = require "gpt.generate.output"
local process = require "gpt.generate.process"
local tokenizers = require "gpt.generate.tokenizers"

local Row = {}
Row.__index = Row

-- The set of ids that stop a row: those asked for, and for text the tokenizer's end tokens.
local function stop_ids(settings, form)
  local ids = {}
  for id in pairs(settings.stop.ids) do ids[id] = true end
  if form == "text" and not settings.stop.none then
    for _, id in ipairs(tokenizers.ends(settings.tokenizer)) do ids[id] = true end
  end
  return ids
end

local function make_output(settings, form)
  return Output.new {
    stop_ids = stop_ids(settings, form),
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
  local row = setmetatable({
    what = what, number = number,
    ids = table.move(prompt.ids, 1, #prompt.ids, 1, {}),
    limit = settings.max_new_tokens,
    sampler = core._sampler(settings.given, what, random),
    output = make_output(settings, prompt.form),
    logprobs = settings.logprobs, measure = settings.measure,
    process = settings.process, on_finish = settings.on_finish,
  }, Row)
  row.sampler:see(row.ids)
  return row
end

local function draw(self, logits, position)
  if not self.process then return self.sampler:draw(logits, position, self.logprobs) end
  local changed = process(self.what, self.process, logits, position, self.ids)
  local id = self.sampler:draw(changed, 1)
  return id, self.logprobs and core._log_probability(logits, position, id)
end

-- An id drawn from the logits at a position of a tensor of rows; and what was measured, or the id's log probability by
-- the model where that is wanted.
function Row:draw(logits, position)
  local id, logprob = draw(self, logits, position)
  if self.measure then return id, self.measure(logits, position, id) end
  return id, logprob
end

-- The next token.
function Row:add(id, logprob)
  self.output:add(id, logprob)
  self.ids[#self.ids + 1] = id
end

-- Tells on_finish of the end, once.
function Row:tell()
  if self.told or not self.output.done then return end
  self.told = true
  if self.on_finish then self.on_finish(self.output.reason, self.number) end
end

return Row
