-- Examples as token ids: what a model is given, and which of the tokens that follow it is to learn.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local known_fields = require "gpt.support.known_fields"
local validate = require "gpt.support.validate"

local encode = {}

local function refuse(place, format, ...)
  core._raise(("gpt.examples: %s: "):format(place) .. format:format(...))
end

-- The end of a message where a key is missing that another one looks like.
local function misspelt(example, key)
  local near = example[key] == nil and core._suggest(key, known_fields.names(example))
  return near and ("; did you mean '%s' by '%s'?"):format(key, near) or ""
end

local function text_of(example, key, place)
  local value = example[key]
  if type(value) == "string" then return value end
  refuse(place, "%s: a string expected, got %s%s", key, validate.show(value), misspelt(example, key))
end

-- Tokens, of which those behind the first `prompt` are learned.
local function learned_behind(ids, prompt)
  local targets = {}
  for i = 2, #ids do targets[i - 1] = i > prompt and ids[i] or -1 end
  ids[#ids] = nil
  return { ids = ids, targets = targets }
end

local function prompt_and_response(example, tokenizer, place)
  local ids = tokenizer:encode(text_of(example, "prompt", place), { special = true, bos = true })
  local prompt = #ids
  local response = tokenizer:encode(text_of(example, "response", place))
  table.move(response, 1, #response, prompt + 1, ids)
  if tokenizer.eos then ids[#ids + 1] = tokenizer.eos end
  if prompt == 0 then refuse(place, "prompt: no token in it") end
  return learned_behind(ids, prompt)
end

local function begins_with(ids, first)
  for i, id in ipairs(first) do
    if ids[i] ~= id then return false end
  end
  return true
end

-- The ids of a conversation. What the template has against it is said with its place.
local function rendered(tokenizer, messages, options, place)
  local ok, problem, ids = attempt(tokenizer.apply_chat_template, tokenizer, messages, options)
  if ok then return ids end
  local said = type(problem) == "string" and problem:match "^[^\n]-:%d+: (apply_chat_template: .*)$"
  if not said then error(problem, 0) end
  refuse(place, "%s", said)
end

-- What each message of the assistant adds to the rendered conversation is learned.
local function conversation(example, tokenizer, place)
  local messages, said, ids = example.messages, {}, {}
  local learned = {}
  if type(messages) ~= "table" or #messages == 0 then refuse(place, "messages: a list of messages expected") end
  for i, message in ipairs(messages) do
    local prompt
    if type(message) ~= "table" then
      refuse(place, "messages: message %d: a table expected, got %s", i, validate.show(message))
    end
    if message.role == "assistant" then
      prompt = rendered(tokenizer, said, { add_generation_prompt = true }, place)
    end
    said[i] = message
    if prompt then
      ids = rendered(tokenizer, said, {}, place)
      if not begins_with(ids, prompt) then
        refuse(place, "the chat template changes what comes before message %d, so that it cannot be learned apart", i)
      end
      for at = #prompt + 1, #ids do learned[at] = true end
    end
  end
  if not next(learned) then refuse(place, "messages: none is of the assistant: there is nothing to learn") end
  local targets = {}
  for i = 2, #ids do targets[i - 1] = learned[i] and ids[i] or -1 end
  ids[#ids] = nil
  return { ids = ids, targets = targets }
end

local function labelled(example, tokenizer, place)
  local ids = tokenizer:encode(text_of(example, "text", place), { bos = true })
  if #ids == 0 then refuse(place, "text: no token in it") end
  return { ids = ids, label = example.label }
end

local FORMS = {
  { "messages", conversation }, { "response", prompt_and_response }, { "label", labelled },
}

-- The form of an example: by the key that only it has.
local function form_of(example, place)
  for _, form in ipairs(FORMS) do
    if example[form[1]] ~= nil then return form[2], form[1] end
  end
  local hint = ""
  for _, form in ipairs(FORMS) do hint = hint ~= "" and hint or misspelt(example, form[1]) end
  refuse(place, "{ prompt, response }, { messages } or { text, label } expected%s", hint)
end

local function count_learned(item)
  local n = 0
  for _, target in ipairs(item.targets) do
    if target >= 0 then n = n + 1 end
  end
  return n
end

-- The end of what is too long is cut off; something to learn must be left.
local function cut(item, length, place)
  if length and #item.ids > length then
    local whole = #item.ids
    for _, list in ipairs { item.ids, item.targets } do
      for i = #list, length + 1, -1 do list[i] = nil end
    end
    if item.targets and count_learned(item) == 0 then
      refuse(place, "%d tokens are more than context_length, %d, and of what is to be learned nothing is left", whole,
        length)
    end
  end
  if item.targets and count_learned(item) == 0 then
    refuse(place, "there is nothing to learn: no token follows the prompt")
  end
  return item
end

-- @tparam table example
-- @tparam table settings `tokenizer`, `context_length` or nil, `format`: a function of the example, or nil
-- @string place for messages
-- @treturn table `ids` and `targets` of one length, or `ids` and `label`
-- @treturn string which form it has: "messages", "response" or "label"
function encode.example(example, settings, place)
  if settings.format then
    local formatted = settings.format(example)
    if type(formatted) ~= "table" then
      refuse(place, "format: the function must return an example, got %s", validate.show(formatted))
    end
    example = formatted
  end
  local form, name = form_of(example, place)
  return cut(form(example, settings.tokenizer, place), settings.context_length, place), name
end

return encode
