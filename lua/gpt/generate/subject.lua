-- What generates: a model, or any function from ids to logits, and what the loop needs to know of it.
local core = require "gpt.core"
local field = require "gpt.support.field"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local subject = {}

--- Whether it may be called.
function subject.callable(value)
  if type(value) == "function" then return true end
  local kind, meta = core._typename(value), getmetatable(value)
  if type(value) == "userdata" and type(meta) ~= "table" then -- one that hides its metatable, as ours do
    return kind == "gpt.Layer" or meta ~= nil and not kind:find "^gpt%."
  end
  return type(value) ~= "string" and type(meta) == "table" and meta.__call ~= nil
end

local at_least_one = validate.whole(1)

--- The number of tokens seen at most: the model's own, or fewer where fewer are asked for.
function subject.context_length(what, own, asked)
  if asked ~= nil and not at_least_one(asked) then
    raise("%s: context_length: a whole number of at least 1 expected, got %s", what, validate.show(asked))
  end
  if own and asked and asked > own then
    raise("%s: context_length: at most the model's, %d, expected, got %d", what, own, asked)
  end
  return asked or own
end

local function check(what, model)
  if core._is_model(model) or subject.callable(model) then return end
  local method = what:match "[%a_]+$"
  local colon = model ~= nil and ("; a method is called with a colon: model:%s(...)"):format(method) or ""
  raise("%s: a model, or a function from ids to logits, expected, got %s%s", what, validate.show(model), colon)
end

--- The tokenizer that is used: the option's, or else the model's; or nil.
function subject.tokenizer(what, model, given)
  local tokenizer = given or type(model) ~= "function" and field(model, "tokenizer") or nil
  local fits, expected = validate.tokenizer(tokenizer)
  if not tokenizer or fits then return tokenizer end
  return raise("%s: %s: %s expected, got %s", what, given and "tokenizer" or "model.tokenizer", expected,
    validate.show(tokenizer))
end

--- @param settings `context_length`, `tokenizer`, `special`, each of which may be nil
--- @treturn table `model`, `is_model`, `tokenizer`, `vocab_size`, `special`, `context_length`
function subject.describe(what, model, settings)
  check(what, model)
  local is_model = core._is_model(model)
  local config = is_model and model.config or {}
  local length = subject.context_length(what, config.context_length, settings.context_length)
  if not length then
    raise("%s: a function in place of a model needs the option context_length, the most tokens it takes", what)
  end
  return {
    model = model,
    is_model = is_model,
    tokenizer = subject.tokenizer(what, model, settings.tokenizer),
    vocab_size = config.vocab_size,
    special = settings.special,
    context_length = length,
  }
end

return subject
