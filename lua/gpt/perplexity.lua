--- gpt.perplexity: how well a model predicts a text.
-- @submodule gpt
local core = require "gpt.core"
local known_fields = require "gpt.support.known_fields"
local neutral = require "gpt.support.neutral"
local raise = require "gpt.support.raise"
local scorer = require "gpt.scoring.scorer"
local subject = require "gpt.generate.subject"
local token_source = require "gpt.token_source"
local tokenizers = require "gpt.generate.tokenizers"
local validate = require "gpt.support.validate"
local Windows = require "gpt.scoring.windows"

local WHO = "gpt.perplexity"
local ROWS = 512 -- about so many tokens run together where windows are short

local FIELDS = {
  { "stride", validate.whole(1), optional = true }, { "context_length", validate.whole(2), optional = true },
  { "batch_size", validate.whole(1), optional = true }, { "tokenizer", token_source.tokenizer, optional = true },
  { "special", validate.boolean, optional = true }, { "bos", validate.boolean, optional = true },
  { "dtype", token_source.dtype, optional = true },
  { "on_step", validate.a_function "of the result so far", optional = true },
}

local Result = {
  __name = "gpt.Perplexity", __index = known_fields.index("a perplexity", nil, { "bytes", "bits_per_byte" }),
}

function Result:__tostring()
  local bytes = self.bits_per_byte and neutral.format(", %.4f bits a byte", self.bits_per_byte) or ""
  local of = self.bytes and (" of %s bytes"):format(validate.grouped(self.bytes)) or ""
  return neutral.format("Perplexity { %.3f: loss %.4f a token%s; %s tokens%s, windows of %s, stride %s }",
    self.perplexity, self.loss, bytes, validate.grouped(self.tokens), of, validate.grouped(self.context_length),
    validate.grouped(self.stride))
end

-- What was counted so far, as a table.
local function result_of(run)
  local loss = run.sum / run.tokens
  local bytes = run.bytes > 0 and run.bytes or nil
  return setmetatable({
    loss = loss, perplexity = math.exp(loss), tokens = run.tokens, bytes = bytes,
    bits_per_byte = bytes and run.sum / (math.log(2) * bytes), context_length = run.length, stride = run.stride,
  }, Result)
end

-- Scores the windows that wait.
local function flush(run)
  local jobs = run.jobs
  run.jobs = {}
  for _, job in ipairs(jobs) do job.session = run.scorer:open() end
  run.scorer:run(jobs)
  for _, job in ipairs(jobs) do
    job.session:free()
    run.sum, run.tokens = run.sum - scorer.sum(job.scores), run.tokens + #job.scores
  end
  if run.settings.on_step and #jobs > 0 and run.tokens > 0 then run.settings.on_step(result_of(run)) end
end

local function add_window(run, ids, from)
  table.insert(run.jobs, { ids = ids, from = from })
  if #run.jobs >= run.batch_size then flush(run) end
end

-- Ids that a text was not given for: their bytes are what a tokenizer makes of them.
local function decoded_bytes(run, ids)
  local tokenizer = run.known.tokenizer
  if not tokenizer then return 0 end
  ids = core.is_tensor(ids) and ids:totable() or ids
  return #tokenizer:decode(ids, { continued = run.windows.seen > 0 })
end

local function check_ids(run, ids)
  if core.is_tensor(ids) and (ids:dtype() ~= "i64" or ids:dim() ~= 1) then
    raise("%s: ids: an i64 tensor of one dimension expected, got %s of shape [%s]", WHO, ids:dtype(),
      table.concat(ids:shape(), ", "))
  end
  local vocab = run.known.vocab_size
  for i, id in ipairs(core.is_tensor(ids) and {} or ids) do
    if math.type(id) ~= "integer" or id < 0 or vocab and id >= vocab then
      raise("%s: a token id%s expected at position %d, got %s", WHO,
        vocab and (" from 0 to %d"):format(vocab - 1) or "", run.windows.seen + i, validate.show(id))
    end
  end
end

-- The token that a text begins with, if its tokenizer's files ask for one.
local function put_start(run)
  if run.settings.bos == false then return end
  run.windows:put(run.known.tokenizer:encode("", { bos = true }))
end

local function put_all(run, read)
  local function put(ids, bytes)
    check_ids(run, ids)
    run.bytes = run.bytes + (bytes or decoded_bytes(run, ids))
    run.windows:put(ids)
  end
  if read.kind == "tokens" then return token_source.put_tokens(read, put) end
  local settings = { tokenizer = run.known.tokenizer, special = run.settings.special }
  local is_text = read.kind == "text" or read.kind == "file"
  if is_text and not settings.tokenizer then
    raise("%s: %s", WHO, tokenizers.missing(run.known.model, "a text", "give token ids"))
  end
  if is_text then put_start(run) end
  token_source.put_all(WHO, read, settings, put)
end

local function check_stride(settings, length)
  if (settings.stride or 1) <= length then return end
  raise("%s: stride: at most the window's length, %d, expected, got %d: tokens between windows would not count", WHO,
    length, settings.stride)
end

local function new_run(model, settings)
  local known = subject.describe(WHO, model, settings)
  local length = known.context_length
  check_stride(settings, length)
  local run = {
    known = known, settings = settings, scorer = scorer.of(WHO, known), length = length,
    stride = settings.stride or math.max(1, length // 2),
    batch_size = settings.batch_size or math.max(1, ROWS // length),
    jobs = {}, sum = 0.0, tokens = 0, bytes = 0,
  }
  run.windows = Windows.new(length, run.stride, function(ids, from) add_window(run, ids, from) end)
  return run
end

--- The perplexity of a text: how well a model predicts each of its tokens from those before.
--
-- A text that is longer than the context is seen through windows of `context_length` tokens, which begin `stride`
-- tokens apart; each window counts the tokens that no window before it had. So every token but the first is predicted
-- once, from at least context_length - stride tokens before it (fewer at the beginning). A small stride takes longer
-- and gives a lower perplexity: say which one you used. (With stride = context_length windows do not overlap, and the
-- first token of each does not count.)
--
-- The loss is a mean over tokens, so it compares models with the same tokenizer; bits per byte compares others too.
-- Texts of any length take bounded memory, and Ctrl-C ends a run within 512 tokens. Any mode of the model gives the
-- same numbers: nothing drops.
-- @function perplexity
-- @param model a model, or any layer or function from ids [1, tokens] to logits (with the option context_length)
-- @param source a text, the name of a text file or of a token file, `{ text = "..." }` (see `gpt.dataset`), an array or
-- i64 tensor of ids, or a function that returns the next piece, text or ids, at every call, and nil at the end
-- @tparam[opt] table options `context_length` (the model's) and `stride` (half of it); `tokenizer` (the model's);
-- `special` (true: special tokens in a text become their ids), `bos` (true: a text begins with the BOS token if the
-- tokenizer's files ask for one); `batch_size`: how many windows run together (as many as come to about 512 tokens);
-- `dtype` ("u16" or "u32") of token files; `on_step`, a function that is called with the result so far
-- @treturn table `loss` (mean per token, in nats), `perplexity` (its exponential), `bits_per_byte` (the loss of all
-- tokens in bits, by the bytes of the text), `tokens` (that were predicted), `bytes`, `context_length`, `stride`; print
-- it. Ids without a tokenizer have no bytes
-- @raise if there is no token to predict; if an id is not in the vocabulary
-- @usage print(gpt.perplexity(model, { 5, 3, 9, 1, 2, 5, 3, 9 }, { stride = 4 }))
return function(model, source, options)
  local settings, problems = validate.read(validate.options(WHO, options), FIELDS)
  validate.raise(WHO, problems)
  local run = new_run(model, settings)
  put_all(run, token_source.read(WHO, source, settings.dtype))
  run.windows:finish()
  flush(run)
  if run.tokens == 0 then
    raise("%s: at least 2 tokens expected, got %d: a token is predicted from those before it", WHO, run.windows.seen)
  end
  return result_of(run)
end
