-- What generating and loading want of tokenizers. One may be of the user's own: a table with `encode`, `decode`, `eos`.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"

local tokenizers = {}

local problems = setmetatable({}, { __mode = "k" }) -- by model: why a loaded one has none

--- Keeps the reason why a model's tokenizer could not be read.
function tokenizers.note(model, problem)
  problems[model] = problem
end

--- What to say where a string (or what else) needs a tokenizer, and the model or function has none; `instead` is what
-- one may give without.
function tokenizers.missing(model, what, instead)
  local problem = model ~= nil and problems[model]
  local has = problem and ("this model's could not be read (%s)"):format(problem) or "this model has none"
  return ("%s needs a tokenizer, and %s; %sset model.tokenizer or the option tokenizer (gpt.tokenizer(dir) makes one)")
    :format(what or "a string", has, instead and instead .. ", or " or "")
end

--- The ids that end a text; a tokenizer of the user's own may have `eos` alone.
function tokenizers.ends(tokenizer)
  local ok, list = attempt(function() return tokenizer.end_tokens end)
  return ok and list or { tokenizer.eos }
end

--- The id that begins a text, or nil; one of the user's own may lack it.
function tokenizers.start(tokenizer)
  local ok, id = attempt(function() return tokenizer.bos end)
  return ok and id or nil
end

--- A model's chat template: its own, or else its tokenizer's; or nil.
function tokenizers.template(model)
  local tokenizer = model.tokenizer
  return model.chat_template or core._typename(tokenizer) == "gpt.Tokenizer" and tokenizer.chat_template or nil
end

return tokenizers
