-- What is served: a model, its tokenizer, its chat template and its name.
local core = require "gpt.core"
local raise = require "gpt.support.raise"
local tokenizers = require "gpt.generate.tokenizers"
local validate = require "gpt.support.validate"

local subject = {}

local function field(value, name)
  local ok, found = pcall(function() return value[name] end)
  return ok and found or nil
end

--- @treturn table `tokenizer`, `vocab_size`, `context_length`, `prompt_tokens` and `most_prompts` of a request, `name`,
-- `template`, `can_chat`, `has_templates` (the tokenizer's `apply_chat_template` is used)
function subject.describe(what, model, options)
  if not core._is_model(model) then raise("%s: a model expected, got %s", what, validate.show(model)) end
  local tokenizer = options.tokenizer or field(model, "tokenizer")
  if not tokenizer then
    raise("%s: %s; set model.tokenizer or the option tokenizer (gpt.tokenizer(dir) makes one)", what,
      tokenizers.missing(model))
  end
  local length = model.config.context_length
  local has_templates = field(tokenizer, "apply_chat_template") ~= nil
  return {
    tokenizer = tokenizer, vocab_size = model.config.vocab_size, context_length = length,
    prompt_tokens = math.min(options.prompt_tokens or length, length),
    most_prompts = options.sessions + options.queue,
    name = options.name or "luagpt", template = options.template, has_templates = has_templates,
    can_chat = has_templates or type(options.template) == "function",
  }
end

return subject
