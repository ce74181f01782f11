--- Chat templates: what a chat model's tokenizer makes of a list of messages.
-- @classmod Tokenizer
local Marks = require "gpt.chat_template.marks"
local core = require "gpt.core"
local find = require "gpt.chat_template.find"
local messages = require "gpt.chat_template.messages"
local methods = require "gpt.support.methods"
local raise = require "gpt.support.raise"
local render = require "gpt.chat_template.render"
local validate = require "gpt.support.validate"

local chat_template = {}

local FIELDS = {
  { "add_generation_prompt", validate.boolean, optional = true },
  { "special", validate.boolean, optional = true },
  { "bos", validate.boolean, optional = true },
}
local OTHERS = { "template", "tools", "documents" }

--- The texts of a tokenizer's special tokens, as templates call them: bos_token, eos_token, ...
function chat_template.roles(tokenizer)
  return core._typename(tokenizer) == "gpt.Tokenizer" and core._tokenizer_roles(tokenizer) or {}
end

--- Raises where a name is neither an option nor a variable that the template mentions.
-- @tparam {string,...} names the options that there are
function chat_template.check_variables(what, template, extra, names)
  for name in pairs(extra) do
    if type(name) ~= "string" then raise("%s: options are names, got %s", what, validate.show(name)) end
    if not template.fn and not template.names[name] then
      local hint = core._hint(name, names)
      raise("%s: '%s' is neither an option nor a variable of the template%s", what, name, hint)
    end
  end
end

--- Raises where tools or documents are no tables.
function chat_template.check_lists(what, options)
  for _, name in ipairs { "tools", "documents" } do
    local value = options[name]
    if value ~= nil and type(value) ~= "table" then
      raise("%s: %s: a list expected, got %s", what, name, validate.show(value))
    end
  end
end

-- Options that are neither ours nor nil: the template's variables.
local function variables(options)
  local known, extra = {}, {}
  for _, field in ipairs(FIELDS) do known[field[1]] = true end
  for _, name in ipairs(OTHERS) do known[name] = true end
  for name, value in pairs(options) do
    if not known[name] then extra[name] = value end
  end
  return extra
end

local function read_options(what, options)
  if options ~= nil and type(options) ~= "table" then
    raise("%s: options: a table expected, got %s", what, validate.show(options))
  end
  local given, names = {}, table.move(OTHERS, 1, #OTHERS, 1, {})
  for _, field in ipairs(FIELDS) do
    given[field[1]] = options and options[field[1]]
    names[#names + 1] = field[1]
  end
  local values, problems = validate.read(given, FIELDS)
  validate.raise(what, problems)
  values.extra = variables(options or {})
  chat_template.check_lists(what, options or {})
  return values, options or {}, names
end

--- The ids of a template's text; at `places` no mark begins.
function chat_template.encode(tokenizer, text, places, bos)
  return tokenizer:encode(text, { special = true, bos = bos, literal_at = places[1] and places or nil })
end

--- A conversation in the form that the model was trained on: the tokenizer's chat template, run over the messages. The
-- text is the one that transformers' `apply_chat_template` returns.
--
-- A template is Jinja, from tokenizer_config.json, chat_template.jinja or a GGUF file, and runs in an evaluator of our
-- own: it is data, bounded in steps, depth, output and memory, and reaches nothing of Lua. Its marks, such as
-- `<|im_end|>`, become their ids. The same words in a message are text: a user cannot end a turn, or begin the
-- system's, by writing its marks. (So the ids differ from transformers' where a message holds such a mark, and there
-- only.) Where a message has words that could begin a mark, the template runs a second time.
-- @function Tokenizer:apply_chat_template
-- @tparam {table,...} messages each `{ role = "user", content = "..." }`; `content` may be a list of parts, and there
-- may be more fields, if the template knows them
-- @tparam[opt] table options `add_generation_prompt` (false): end with the beginning of the assistant's message;
-- `template`: the name of one of the tokenizer's templates, a Jinja template, or a function(messages, options) that
-- returns the text; `tools` and `documents`: lists; `special` (false): marks in messages count, too; `bos` (false): the
-- ids begin with BOS if the model's files ask for it, also where the template does not write it. Any other name is a
-- variable of the template
-- @treturn string text
-- @treturn {integer,...} ids
-- @raise if there is no template, if a message has no role or content, or if the template is faulty or raises an error
-- itself (the message has its line)
-- @usage local template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
-- local messages = { { role = "user", content = "Hello" } }
-- print((tokenizer:apply_chat_template(messages, { template = template })))
function chat_template.apply(tokenizer, list, options)
  local what = "apply_chat_template"
  local request, given, names = read_options(what, options)
  messages.check(what, list)
  local template = find(what, given.template, tokenizer, nil, given.tools)
  chat_template.check_variables(what, template, request.extra, names)
  request.messages, request.tools, request.documents = list, given.tools, given.documents
  request.roles = chat_template.roles(tokenizer)
  request.add_generation_prompt = request.add_generation_prompt == true
  local text, places = render(what, template, request, Marks.of(tokenizer))
  return text, chat_template.encode(tokenizer, text, places, request.bos)
end

core._methods("gpt.Tokenizer").apply_chat_template = function(tokenizer, ...)
  methods.check_self(core._typename(tokenizer) == "gpt.Tokenizer", "a gpt.Tokenizer", "apply_chat_template", tokenizer)
  return chat_template.apply(tokenizer, ...)
end

return chat_template
