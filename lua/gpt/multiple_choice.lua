--- gpt.multiple_choice: which of several endings a model finds likeliest.
-- @submodule gpt
local Branches = require "gpt.scoring.branches"
local forms = require "gpt.multiple_choice.forms"
local pair = require "gpt.scoring.pair"
local questions = require "gpt.multiple_choice.read"
local raise = require "gpt.support.raise"
local result = require "gpt.multiple_choice.result"
local scorer = require "gpt.scoring.scorer"
local subject = require "gpt.generate.subject"
local token_source = require "gpt.token_source"
local tokenizers = require "gpt.generate.tokenizers"
local validate = require "gpt.support.validate"

local WHO = "gpt.multiple_choice"
local BATCH = 4 -- questions of some 100 tokens fill a pass

local function a_format(value)
  if type(value) == "function" then return value end
  if value == "hellaswag" then return forms.hellaswag end
  return nil, '"hellaswag", or a function from an example to { context, endings, label },'
end

local function a_string(value)
  if type(value) == "string" then return value end
  return nil, "a string"
end

local FIELDS = {
  { "tokenizer", token_source.tokenizer, optional = true }, { "context_length", validate.whole(1), optional = true },
  { "batch_size", validate.whole(1), optional = true }, { "format", a_format, optional = true },
  { "delimiter", a_string, optional = true }, { "limit", validate.whole(1), optional = true },
  { "special", validate.boolean, optional = true }, { "bos", validate.boolean, optional = true },
  { "details", validate.boolean, optional = true },
  { "on_step", validate.a_function "of the result so far", optional = true },
}

-- A question as token ids, for Branches.
local function encode(run, question)
  local tree = { question = question, branches = {} }
  for i, ending in ipairs(question.endings) do
    local context, ids = pair.encode(run.known.tokenizer, question.context, run.delimiter .. ending, run.settings)
    if #ids == 0 then raise("%s: %s: ending %d has no token", WHO, question.place, i) end
    if #ids > run.known.context_length then
      raise("%s: %s: ending %d has %d tokens, and at most context_length, %d, are seen at once", WHO, question.place, i,
        #ids, run.known.context_length)
    end
    tree.context, tree.branches[i] = context, ids
  end
  if #tree.context == 0 then
    raise("%s: %s: the context has no token, and this tokenizer has none that begins or ends a text", WHO,
      question.place)
  end
  return tree
end

local function flush(run)
  local trees = run.trees
  if #trees == 0 then return end
  run.trees = {}
  run.branches:run(trees)
  for _, tree in ipairs(trees) do result.add(run.counts, result.answer(tree.question, tree.scores)) end
  if run.settings.on_step then run.settings.on_step(result.of(run.counts)) end
end

local function run_all(run, source)
  local taken, limit = 0, run.settings.limit or math.huge
  for question in questions(source, run.settings.format or forms.plain) do
    table.insert(run.trees, encode(run, question))
    taken = taken + 1
    if #run.trees >= (run.settings.batch_size or BATCH) then flush(run) end
    if taken >= limit then break end
  end
  flush(run)
end

--- Multiple choice by likelihood: for each question the ending that the model finds likeliest, in the form of HellaSwag
-- and many others.
--
-- A question is a table `{ context = text, endings = { text, ... }, label = n }`, where the label is the right ending,
-- counted from 0 as in the files of such tests (`ctx` or `query`, `choices`, `gold` are the same). A context runs once
-- for all of its endings, and what it has in common with the one before is not run again. Tokens are cut as
-- `model:log_likelihood` does it. The numbers are those that lm-evaluation-harness reports under these names: `acc`
-- takes the greatest sum of log probabilities, `acc_norm` the greatest one per character, `acc_bytes` per byte of
-- UTF-8; `acc_tokens` is per token.
-- @function multiple_choice
-- @param model a model, or any layer or function from ids [1, tokens] to logits (with the option context_length)
-- @param source a list of questions, or the name of a file of JSON lines (.jsonl), of any length
-- @tparam[opt] table options `format`: "hellaswag" prepares that test's files as lm-evaluation-harness does; or a
-- function from what the source has to a question; `delimiter` (" "), between context and ending; `limit`: only so many
-- questions, the first ones; `batch_size` (4), how many run together; `details` (false): keep every answer; `tokenizer`
-- and `context_length` (the model's), `special` (true) and `bos` (true), as for `model:log_likelihood`; `on_step`, a
-- function that is called with the result so far
-- @treturn table `acc`, `acc_norm`, `acc_bytes`, `acc_tokens`, each also with `_stderr`; `count`; with `details` also
-- `examples`: for each question `log_likelihoods`, `tokens`, `label`, and the endings that were chosen; print it
-- @raise if a question is not of the form: names its file and line
-- @usage local questions = {
--   { context = "The cat sat on the", endings = { "mat.", "log." }, label = 0 },
-- }
-- print(gpt.multiple_choice(model, questions))
return function(model, source, options)
  local settings, problems = validate.read(validate.options(WHO, options), FIELDS)
  validate.raise(WHO, problems)
  local known = subject.describe(WHO, model, settings)
  if not known.tokenizer then
    raise("%s: %s", WHO, tokenizers.missing(known.model, "a text"))
  end
  local run = {
    settings = settings, known = known, delimiter = settings.delimiter or " ", trees = {},
    branches = Branches.new(scorer.of(WHO, known), known.context_length), counts = result.new(settings.details),
  }
  run_all(run, source)
  run.branches:close()
  if run.counts.n == 0 then raise("%s: there is no question", WHO) end
  return result.of(run.counts)
end
