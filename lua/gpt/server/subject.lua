-- What is served: a model, its tokenizer, its chat template and its name.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local field = require "gpt.support.field"
local find = require "gpt.chat_template.find"
local generation = require "gpt.generate.subject"
local hosts = require "gpt.server.hosts"
local raise = require "gpt.support.raise"
local Scheduler = require "gpt.server.scheduler"
local tokenizers = require "gpt.generate.tokenizers"
local turn_end = require "gpt.chat_template.turn_end"
local validate = require "gpt.support.validate"

local subject = {}

local function is_ours(tokenizer)
  return core._typename(tokenizer) == "gpt.Tokenizer"
end

-- A function of the host's, which may fail.
local function guarded(template)
  if type(template) ~= "function" then return template end
  return function(...) return hosts("template", "string", template, ...) end
end

-- Whether there is a template: one of the host's, of the model's, or of the tokenizer's files.
local function can_chat(what, options, template, tokenizer)
  if type(template) == "function" then return true end
  if field(tokenizer, "apply_chat_template") then
    return template ~= nil or not is_ours(tokenizer) or tokenizer.chat_template ~= nil
  end
  if not options.template then return false end
  raise("%s: template: this tokenizer has no apply_chat_template, which a template's text needs; give a function from "
    .. "messages to text", what)
end

-- What ends an answer of a chat. What is wrong with a template is told here, to who starts the server; what a tokenizer
-- of the host's does with one is its own matter.
local function end_of_turn(what, template, tokenizer)
  if is_ours(tokenizer) then return turn_end(tokenizer, find(what, template, tokenizer), {}) end
  local ok, found = attempt(find, what, template, tokenizer)
  return ok and turn_end(tokenizer, found, {}) or nil
end

--- @treturn table `tokenizer`, `vocab_size`, `context_length`, `prompt_tokens` and `most_prompts` of a request, `name`,
-- `template`, `turn_end`, `can_chat`, `has_templates` (the tokenizer's `apply_chat_template` is used)
function subject.describe(what, model, options)
  if not core._is_model(model) then raise("%s: a model expected, got %s", what, validate.show(model)) end
  local tokenizer = generation.tokenizer(what, model, options.tokenizer)
  if not tokenizer then
    raise("%s: %s", what, tokenizers.missing(model))
  end
  local length = model.config.context_length
  local template = guarded(options.template or field(model, "chat_template"))
  local can = can_chat(what, options, template, tokenizer)
  return {
    tokenizer = tokenizer, vocab_size = model.config.vocab_size, context_length = length,
    prompt_tokens = math.min(options.prompt_tokens or length, length),
    most_prompts = Scheduler.most_rows(options),
    name = options.name or "luagpt", template = template,
    has_templates = field(tokenizer, "apply_chat_template") ~= nil, can_chat = can,
    turn_end = can and end_of_turn(what, template, tokenizer) or nil,
  }
end

return subject
