-- Examples as token ids: what a model is given, and which of the tokens that follow it is to learn.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local known_fields = require "gpt.support.known_fields"
local validate = require "gpt.support.validate"

local encode = {}

-- Of one conversation, where each message of the assistant is rendered with all before it: a few seconds' work.
local MOST_MESSAGES, MOST_TOKENS = 250000, 1 << 25

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

-- The ids and the text of a conversation. What the template has against it is said with its place.
local function rendered(tokenizer, messages, options, place)
  local ok, text, ids = attempt(tokenizer.apply_chat_template, tokenizer, messages, options)
  if ok then return ids, text end
  local said = type(text) == "string" and text:match "^[^\n]-:%d+: (apply_chat_template: .*)$"
  if not said then error(text, 0) end
  refuse(place, "%s", said)
end

-- Raises where a message is none, or there are too many of them for what each of the assistant's takes: it is rendered
-- with all before it, and they without it.
local function check_messages(messages, place)
  if type(messages) ~= "table" or #messages == 0 then refuse(place, "messages: a list of messages expected") end
  local count, answers = 0, 0
  for i, message in ipairs(messages) do
    if type(message) ~= "table" then
      refuse(place, "messages: message %d: a table expected, got %s", i, validate.show(message))
    end
    if message.role == "assistant" then count, answers = count + 2 * i - 1, answers + 1 end
  end
  if answers == 0 then refuse(place, "messages: none is of the assistant: there is nothing to learn") end
  if count > MOST_MESSAGES then
    refuse(place, "messages: %d, of which %d are of the assistant, are too many for one example: each of these is "
      .. "rendered with all before it, %d in all, over %d; split the conversation", #messages, answers, count,
      MOST_MESSAGES)
  end
end

-- What comes before message i, ids and text, where `before` is the text up to the last message of the assistant: had it
-- been learned there as it is written no more, the ids of now would not be those that were learned.
local function rendered_prompt(tokenizer, said, before, i, place)
  local prompt, text = rendered(tokenizer, said, { add_generation_prompt = true }, place)
  if text:sub(1, #before) == before then return prompt end
  refuse(place, "the chat template writes earlier messages otherwise where message %d follows, so that the assistant's "
    .. "cannot be learned together; make an example for each of its messages, with those before it", i)
end

local function check_tokens(total, i, place)
  if total <= MOST_TOKENS then return end
  refuse(place, "messages: over %d tokens up to message %d, since each message of the assistant is rendered with all "
    .. "before it; split the conversation", MOST_TOKENS, i)
end

-- What each message of the assistant adds to the rendered conversation is learned.
local function conversation(example, tokenizer, place)
  local said, learned, ids, text, total = {}, {}, {}, "", 0
  check_messages(example.messages, place)
  for i, message in ipairs(example.messages) do
    local answer = message.role == "assistant"
    local prompt = answer and rendered_prompt(tokenizer, said, text, i, place)
    said[i] = message
    if answer then
      ids, text = rendered(tokenizer, said, {}, place)
      if not begins_with(ids, prompt) then
        refuse(place, "the chat template changes what comes before message %d, so that it cannot be learned apart", i)
      end
      for at = #prompt + 1, #ids do learned[at] = true end
      total = total + #prompt + #ids
      check_tokens(total, i, place)
    end
  end
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
