-- A generation under way: rows of tokens that grow together, one token a step.
local core = require "gpt.core"
local Output = require "gpt.generate.output"
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
  local run = setmetatable({ source = source, rows = {}, outputs = {}, logprobs = settings.logprobs }, Run)
  for i, prompt in ipairs(prompts.rows) do
    run.rows[i] = make_row(what, settings, prompt, i)
    run.outputs[i] = run.rows[i].output
  end
  return run
end

local function add(self, row, logits, position)
  local id, logprob = row.sampler:draw(logits, position, self.logprobs)
  row.output:add(id, logprob)
  row.ids[#row.ids + 1] = id
  if not row.output:dropped() then self.source:append(row) end
end

-- One more token for every row that is not done; false where all are.
function Run:step()
  local active = {}
  for _, row in ipairs(self.rows) do
    if not row.output.done then active[#active + 1] = row end
  end
  if #active == 0 then return false end
  local pick = self.source:advance(active)
  for i, row in ipairs(active) do
    add(self, row, pick(i))
    if row.output.done then self.source:close(row, #row.output.ids) end
  end
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
  for _, row in ipairs(self.rows) do
    if not row.output.done then
      row.output.done = true
      self.source:close(row, row.output.taken)
    end
  end
end

Run.__close = Run.close

return Run
