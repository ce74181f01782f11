-- The options of a chat: some are for the conversation, some for each answer, the rest are variables of its template.
local chat_template = require "gpt.chat_template"
local checks = require "gpt.generate.options"
local items = require "gpt.support.items"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local options = {}

local ANSWER = { -- of each answer; those of `say` win over the chat's
  "max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed", "stop", "overflow",
  "special", "process", "on_finish", "grammar",
}
local REQUEST = { "tools", "documents" } -- what the template sees beside the messages
local CHAT = { "system", "messages", "template", "cache_dtype", "use_cache", "context_length", "tokenizer",
  "hooks" }

local DEFAULT_NEW_TOKENS = 1024

local function set_of(...)
  local names, list = {}, {}
  for _, group in ipairs { ... } do
    for _, name in items(group) do
      names[name] = true
      list[#list + 1] = name
    end
  end
  return names, list
end

local OF_CHAT, CHAT_NAMES = set_of(ANSWER, REQUEST, CHAT)
local OF_ANSWER, ANSWER_NAMES = set_of(ANSWER, REQUEST)

local function picked(given, names)
  local some = {}
  for _, name in ipairs(names) do some[name] = given[name] end
  return some
end

local function others(given, known)
  local rest = {}
  for name, value in pairs(given) do
    if not known[name] then rest[name] = value end
  end
  return rest
end

-- The names of two tables in one; the second wins.
local function merged(a, b)
  local all = {}
  for name, value in pairs(a) do all[name] = value end
  for name, value in pairs(b) do all[name] = value end
  return all
end

function options.check_table(what, given)
  if given ~= nil and type(given) ~= "table" then
    raise("%s: options: a table expected, got %s", what, validate.show(given))
  end
  return given or {}
end

-- Which names are variables, and whether the template has them; a function's options are ours alone.
local function read_variables(what, given, known, names, template)
  local extra = others(given, known)
  if template.fn and next(extra) ~= nil then template = { names = {} } end
  chat_template.check_variables(what, template, extra, names)
  return extra
end

local function check_system(what, system)
  if system == nil or type(system) == "string" then return end
  raise("%s: system: a text expected, got %s", what, validate.show(system))
end

--- What `gpt.chat` was given, with its template found: what holds for every answer.
--- @treturn table `answer` (options by name), `request`, `extra` (variables)
function options.of_chat(what, given, template)
  check_system(what, given.system)
  chat_template.check_lists(what, given)
  local extra = read_variables(what, given, OF_CHAT, CHAT_NAMES, template)
  local answer = picked(given, ANSWER)
  checks.read(what, answer)
  answer.seed = nil -- one stream of random numbers for the conversation
  return { answer = answer, request = picked(given, REQUEST), extra = extra }
end

--- What one answer was given, over what holds for the chat.
--- @treturn table as generate's options.read, with `request`, `extra`, and `open` where no length was asked for
function options.of_answer(what, given, chat_options, template)
  given = options.check_table(what, given)
  local extra = read_variables(what, given, OF_ANSWER, ANSWER_NAMES, template)
  chat_template.check_lists(what, given)
  local answer = merged(chat_options.answer, picked(given, ANSWER))
  local open = answer.max_new_tokens == nil
  answer.max_new_tokens = answer.max_new_tokens or DEFAULT_NEW_TOKENS
  local settings = checks.read(what, answer)
  settings.open = open
  settings.request = merged(chat_options.request, picked(given, REQUEST))
  settings.extra = merged(chat_options.extra, extra)
  return settings
end

return options
