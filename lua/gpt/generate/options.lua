-- The options of generate and stream: their defaults, and what they may be.
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local neutral = require "gpt.support.neutral"
local items = require "gpt.support.items"
local grammar = require "gpt.grammar"
local Stop = require "gpt.generate.stop"

local NAMES = {
  "max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed", "stop", "use_cache",
  "overflow", "logprobs", "context_length", "tokenizer", "special", "process", "on_finish",
  "grammar", "hooks",
}

local options = {}

local function raise(what, ...)
  core._raise(what .. ": " .. neutral.format(...))
end

local function check_names(what, given)
  for name, value in pairs(given) do
    if type(name) == "number" then
      local advice = what:find "^session" and "; session:feed(ids) takes token ids" or ""
      raise(what, "options are names, as in { max_new_tokens = 5 }, got %s at position %s%s", validate.show(value),
        name, advice)
    end
  end
  core._check_options(given, what, NAMES)
end

local function whole(what, given, name, otherwise, least)
  local value = given[name]
  if value == nil then return otherwise end
  local number = type(value) == "number" and math.tointeger(value)
  if not number or number < least then
    raise(what, "%s: a whole number of at least %d expected, got %s", name, least, validate.show(value))
  end
  return number
end

local function flag(what, given, name, otherwise)
  local value = given[name]
  if value == nil then return otherwise end
  if type(value) ~= "boolean" then
    raise(what, "%s: true or false expected, got %s", name, validate.show(value))
  end
  return value
end

local function hook(what, given, name)
  local value = given[name]
  if value ~= nil and type(value) ~= "function" then
    raise(what, "%s: a function expected, got %s", name, validate.show(value))
  end
  return value
end

local function add_stop(what, stop, value)
  local id = type(value) == "number" and math.tointeger(value)
  if id and id >= 0 then
    stop.ids[id] = true
  elseif type(value) == "string" and value ~= "" then
    stop.strings[#stop.strings + 1] = Stop.word(value)
  else
    raise(what, "stop: a token id, a string that is not empty, or a list of these expected, got %s",
      validate.show(value))
  end
end

-- { ids = set, strings = list of words (stop.lua), none = nothing stops }
local function read_stop(what, value)
  local stop = { ids = {}, strings = {}, none = value == false }
  if type(value) == "table" then
    for _, each in items(value) do add_stop(what, stop, each) end
  elseif value ~= nil and value ~= false then
    add_stop(what, stop, value)
  end
  return stop
end

local function read_overflow(what, value)
  if value == nil or value == "crop" or value == "error" then return value or "crop" end
  return raise(what, [[overflow: "crop" or "error" expected, got %s]], validate.show(value))
end

-- Checks what the caller gave; `what` begins the messages. The sampling options are checked by core._sampler.
function options.read(what, given)
  if given == nil then given = {} end
  if type(given) ~= "table" then raise(what, "options: a table expected, got %s", validate.show(given)) end
  check_names(what, given)
  core._sampler(given, what, core._generator(given, what, 0))
  return {
    given = given,
    max_new_tokens = whole(what, given, "max_new_tokens", 50, 0),
    stop = read_stop(what, given.stop),
    use_cache = flag(what, given, "use_cache", true),
    overflow = read_overflow(what, given.overflow),
    logprobs = flag(what, given, "logprobs", false),
    context_length = whole(what, given, "context_length", nil, 1),
    tokenizer = given.tokenizer,
    special = flag(what, given, "special", false),
    process = hook(what, given, "process"),
    on_finish = hook(what, given, "on_finish"),
    grammar = given.grammar ~= nil and grammar.read(what .. ": grammar", given.grammar) or nil,
    hooks = given.hooks,
  }
end

return options
