--- Generating: from a prompt, token by token, to its continuation.
-- @submodule gpt
local core = require "gpt.core"
local printed = require "gpt.support.printed"
local checks = require "gpt.generate.options"
local hooks = require "gpt.hooks"
local prompts = require "gpt.generate.prompt"
local source = require "gpt.generate.source"
local subject = require "gpt.generate.subject"
local Run = require "gpt.generate.run"
local tokenizers = require "gpt.generate.tokenizers"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local generate = {}

local function check_tokenizer(what, model, settings)
  if settings.tokenizer then return end
  if #settings.stop.strings > 0 then
    raise("%s: stop: %s", what, tokenizers.missing(model, nil, "give a token id"))
  end
  if settings.grammar then
    raise("%s: grammar: %s", what, tokenizers.missing(model, "a grammar"))
  end
end

-- The last token is not run, unless a session is to keep it.
local function check_overflow(what, rows, settings, length, kept)
  if settings.overflow ~= "error" then return end
  for _, row in ipairs(rows) do
    local needed = #row.ids + settings.max_new_tokens - (kept and 0 or 1)
    if #row.ids > length or settings.max_new_tokens > 0 and needed > length then
      raise("%s: %d tokens and %d new ones need a context_length of %d, and this one is %d; "
        .. 'overflow = "crop" lets the first ones go', what, #row.ids, settings.max_new_tokens, needed, length)
    end
  end
end

local function choose_source(what, known, settings)
  if known.is_model then
    local watching = hooks.make(what, known.model, settings.hooks)
    return source.sessions(known.model, known.context_length, settings.use_cache, watching)
  end
  if settings.hooks ~= nil then raise("%s: hooks: only a Model's layers have them", what) end
  return source.of_function(what, known.model, known.context_length)
end

-- A run over a model or function, and its prompts as they were read.
local function start(what, model, prompt, given)
  local settings = checks.read(what, given)
  local known = subject.describe(what, model, settings)
  settings.tokenizer = known.tokenizer
  check_tokenizer(what, model, settings)
  local read = prompts.read(what, prompt, known)
  check_overflow(what, read.rows, settings, known.context_length)
  return Run.new(what, choose_source(what, known, settings), read, settings), read
end

-- A run that goes on in a session.
local function start_session(what, session, given)
  if core._typename(session) ~= "gpt.Session" then
    raise("%s: a session expected, got %s; a method is called with a colon: session:generate(...)", what,
      validate.show(session))
  end
  local settings = checks.read(what, given)
  if settings.hooks ~= nil then raise("%s: hooks: give them to the session: model:session { hooks = ... }", what) end
  settings.tokenizer = subject.tokenizer(what, session.model, settings.tokenizer)
  check_tokenizer(what, session.model, settings)
  local ids = session:ids()
  if #ids == 0 then raise("%s: the session is empty: feed it a prompt first, session:feed(ids)", what) end
  local length = subject.context_length(what, session.context_length, settings.context_length)
  local rows = { { form = "ids", ids = ids } }
  check_overflow(what, rows, settings, length, true)
  if settings.given.seed == nil then settings.random = session end
  return Run.new(what, source.held(session, length), { rows = rows }, settings)
end

local function iterator(run, single)
  if not single then return function() return run:next_of_all() end, nil, nil, run end
  local output = run.outputs[1]
  return function() return run:next_of(output) end, nil, nil, run
end

--- Continues a prompt. Also `model:generate(prompt, options)`.
-- @function generate
-- @param model a model, or with `context_length` any function from ids, an array, to logits `[tokens,
-- vocab_size]` or `[1, tokens, vocab_size]`
-- @param prompt token ids (an array or i64 tensor), or a string if the model has a tokenizer, or a list of either
-- (or a tensor `[batch, tokens]`)
-- @tparam[opt] table options what follows
-- @tparam[opt=50] integer options.max_new_tokens how many tokens at most
-- @tparam[opt=0] number options.temperature 0 is greedy; and `top_k`, `top_p`, `min_p`, `repetition_penalty` (over
-- the prompt and what is new): see `gpt.sample`
-- @tparam[opt] integer options.seed without it the Lua state's random numbers are used; row i of a batch: seed + i - 1
-- @param[opt] options.stop a token id, a string, or a list of these, which are not returned; for a string prompt end
-- tokens stop too, unless this is false
-- @tparam[opt=true] boolean options.use_cache false runs the whole context for each token; the tokens are the same
-- @tparam[opt="crop"] string options.overflow "crop": past context_length the model sees only the last tokens, as in a
-- new run; "error": a call that may go past it raises first
-- @tparam[opt=false] boolean options.logprobs returns a second value
-- @tparam[opt] integer options.context_length at most the model's; required for a function
-- @tparam[opt] Tokenizer options.tokenizer in place of model.tokenizer
-- @tparam[opt=false] boolean options.special marks like `<|endoftext|>` in a string prompt become their ids
-- @tparam[opt] function options.process `function(logits, ids)` changes the logits `[vocab_size]` before each draw, or
-- returns others
-- @tparam[opt] function options.on_finish `function(reason, i)`, at the end of prompt i: "stop", "length" or
-- "complete" (a grammar is)
-- @param[opt] options.grammar see `gpt.grammar`; `hooks`: see `layer:run`
-- @treturn table|string|Tensor the prompt and its continuation, in the prompt's form (rows of a tensor of different
-- lengths: a list)
-- @treturn table with `logprobs`, the log probability of each new token (for a list, one array per prompt) under the
-- model's own distribution
-- @usage model:generate({ 3, 1, 2 }, { max_new_tokens = 10 })
-- model:generate("Hello,", { temperature = 0.8, top_k = 50, seed = 1, stop = "\n" })
function generate.generate(model, prompt, options)
  local run, read = start("gpt.generate", model, prompt, options)
  local _ <close> = run
  while run:step() do end
  local whole, logprobs = prompts.joined(read, run.outputs)
  if run.logprobs then return whole, logprobs end
  return whole
end

--- Continues a prompt as `gpt.generate` does, piece by piece. Also `model:stream(prompt, options)`. You may leave the
-- loop early, and call the iterator from any coroutine.
-- @function stream
-- @param model as for `gpt.generate`
-- @param prompt as for `gpt.generate`
-- @tparam[opt] table options as for `gpt.generate`
-- @treturn function an iterator, for `for ... in`: over new ids, or for a string over pieces of text that are whole
-- UTF-8; for a list over tables from the prompt's index to its new ids or text. Text that may begin a stop string is
-- returned only when it turns out not to. With `logprobs` a second value: the id's log probability, or the array of
-- those of the tokens that end in the piece
-- @usage for piece in model:stream("Hello,", { max_new_tokens = 100 }) do io.write(piece) io.flush() end
function generate.stream(model, prompt, options)
  local run, read = start("gpt.stream", model, prompt, options)
  return iterator(run, read.form ~= "list" and read.form ~= "tensors")
end

--- Continues the session's conversation; the new tokens stay in it. Without a seed it draws from the session's random
-- numbers.
-- @function Session:generate
-- @tparam[opt] table options as for `gpt.generate`
-- @treturn {integer,...} the new ids
-- @treturn {number,...} with `logprobs`, their log probabilities
-- @usage session:feed { 3, 1, 2 }
-- session:generate { max_new_tokens = 10 }
function generate.session_generate(session, options)
  local run <close> = start_session("session:generate", session, options)
  while run:step() do end
  local output = run.outputs[1]
  if run.logprobs then return printed(output.ids), printed(output.logprobs) end
  return printed(output.ids)
end

--- Continues as `session:generate` does: an iterator over the new ids. If you leave the loop early, the ids that it
-- returned stay in the session.
-- @function Session:stream
-- @tparam[opt] table options as for `gpt.generate`
-- @treturn function an iterator, for `for ... in`
-- @usage session:feed { 3, 1, 2 }
-- for id in session:stream { max_new_tokens = 5 } do print(id) end
function generate.session_stream(session, options)
  return iterator(start_session("session:stream", session, options), true)
end

--- Continues a prompt: `gpt.generate` with this model.
-- @function Model:generate
-- @param prompt as for `gpt.generate`
-- @tparam[opt] table options as for `gpt.generate`: `max_new_tokens` (50), `temperature` (0), `top_k`, `top_p`,
-- `min_p`, `repetition_penalty`, `seed`, `stop`, `use_cache`, `overflow`, `logprobs`, `special`, `process`,
-- `on_finish`, `grammar`, `hooks`
-- @treturn table|string|Tensor the prompt and its continuation, in the prompt's form
-- @usage print(gpt.tensor(model:generate({ 3, 1, 2 }, { max_new_tokens = 5 })))
-- print(model:generate("Hello", { max_new_tokens = 5, temperature = 0.8, seed = 1 }))

--- Continues a prompt, piece by piece: `gpt.stream` with this model.
-- @function Model:stream
-- @param prompt as for `gpt.generate`
-- @tparam[opt] table options as for `gpt.generate`
-- @treturn function an iterator, for `for ... in`
-- @usage for piece in model:stream("Hello", { max_new_tokens = 5 }) do io.write(piece) end

local layer, session = core._layer_methods, core._session_methods
layer.generate, layer.stream = generate.generate, generate.stream
session.generate, session.stream = generate.session_generate, generate.session_stream

return generate
