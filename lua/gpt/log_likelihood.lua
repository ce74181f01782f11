-- model:log_likelihood: how likely a model finds a continuation.
local Branches = require "gpt.scoring.branches"
local core = require "gpt.core"
local pair = require "gpt.scoring.pair"
local printed = require "gpt.support.printed"
local prompts = require "gpt.generate.prompt"
local raise = require "gpt.support.raise"
local scorer = require "gpt.scoring.scorer"
local subject = require "gpt.generate.subject"
local token_source = require "gpt.token_source"
local tokenizers = require "gpt.generate.tokenizers"
local validate = require "gpt.support.validate"

local FIELDS = {
  { "tokenizer", token_source.tokenizer, optional = true }, { "context_length", validate.whole(1), optional = true },
  { "special", validate.boolean, optional = true }, { "bos", validate.boolean, optional = true },
}

local function need_tokenizer(what, known)
  if known.tokenizer then return known.tokenizer end
  return raise("%s: %s", what, tokenizers.missing(known.model, nil, "give token ids"))
end

local function ids_of(what, role, value, known, bos)
  if type(value) == "string" then
    return need_tokenizer(what, known):encode(value, { special = known.special, bos = bos })
  end
  local read = prompts.read(what, value, known, role)
  if #read.rows ~= 1 then raise("%s: %s: token ids or a string expected, got a list of them", what, role) end
  return read.rows[1].ids
end

-- Two texts are encoded together; where one of them is ids, each by itself.
local function encode(what, prompt, continuation, known, settings)
  if type(prompt) == "string" and type(continuation) == "string" then
    return pair.encode(need_tokenizer(what, known), prompt, continuation, settings)
  end
  return ids_of(what, "prompt", prompt, known, settings.bos ~= false),
    ids_of(what, "continuation", continuation, known, false)
end

local function is_list(value)
  local first = type(value) == "table" and value[1]
  return type(first) == "string" or type(first) == "table" or core.is_tensor(first)
end

local function check_length(what, name, context, ids, length)
  if #ids == 0 then raise("%s: %s has no token", what, name) end
  if #context == 0 then raise("%s: prompt: at least one token is needed, and this tokenizer has none that begins or "
    .. "ends a text", what) end
  if #ids > length then
    raise("%s: %s has %d tokens, and at most context_length, %d, are seen at once", what, name, #ids, length)
  end
end

--- How likely a model finds a continuation of a prompt: the sum of the log probabilities of its tokens, each given all
-- before it.
--
-- Two strings are cut into tokens as lm-evaluation-harness does it: white space at the end of the prompt goes to the
-- continuation, and the continuation's tokens are those that both have together, behind the prompt's. A blank between
-- the two is yours to give. Of what is longer than context_length + 1 together only the last tokens count.
-- @function Model:log_likelihood
-- @param prompt a string or token ids
-- @param continuation a string, token ids, or a list of them; the prompt then runs once for all
-- @tparam[opt] table options `tokenizer` (the model's), `context_length` (the model's), `special` (true: special tokens
-- in strings become their ids), `bos` (true: the prompt gets the BOS token if the tokenizer's files ask for one)
-- @treturn number the log likelihood (for a list: a list of them)
-- @treturn boolean whether greedy generation would continue so, each token being the likeliest (or a list)
-- @treturn {number,...} the log probability of each token (or a list of such lists)
-- @usage print(model:log_likelihood({ 3, 1, 2 }, { 4, 5 }))
-- print(model:log_likelihood({ 3, 1, 2 }, { { 4, 5 }, { 6 } })[2])
return function(model, prompt, continuation, options)
  local what = "log_likelihood"
  local settings, problems = validate.read(validate.options(what, options), FIELDS)
  validate.raise(what, problems)
  settings.special = settings.special ~= false
  local known = subject.describe(what, model, settings)
  local many = is_list(continuation)
  local trees = {}
  for i = 1, many and #continuation or 1 do
    local context, ids = encode(what, prompt, many and continuation[i] or continuation, known, settings)
    check_length(what, many and "continuation " .. i or "the continuation", context, ids, known.context_length)
    trees[1] = trees[1] or { context = context, branches = {} }
    trees[1].branches[i] = ids
  end
  local branches = Branches.new(scorer.of(what, known), known.context_length)
  branches:run(trees)
  branches:close()
  local sums, greedy, each = {}, trees[1].greedy, {}
  for i, scores in ipairs(trees[1].scores) do sums[i], each[i] = scorer.sum(scores), printed(scores) end
  if many then return printed(sums), printed(greedy), printed(each) end
  return sums[1], greedy[1], each[1]
end
