-- What a request wants continued: prompts as token ids.
local attempt = require "gpt.support.attempt"
local Problem = require "gpt.server.problem"
local core = require "gpt.core"
local fields = require "gpt.server.fields"
local hosts = require "gpt.server.hosts"
local json = require "gpt.support.json"
local text = require "gpt.server.text"

local prompts = {}

local function check_ids(subject, ids)
  for i, value in ipairs(ids) do
    local id = type(value) == "number" and math.tointeger(value)
    if not id or id < 0 or id >= subject.vocab_size then
      Problem.field("prompt", "prompt: token ids from 0 to %d expected, got %s at position %d", subject.vocab_size - 1,
        type(value) == "number" and value or "a " .. type(value), i)
    end
    ids[i] = id
  end
  return ids
end

local function check_length(subject, name, ids)
  if #ids == 0 then Problem.field(name, "%s is empty: at least one token is needed to go on from", name) end
  if #ids <= subject.prompt_tokens then return ids end
  error(Problem.new(400, ("%s has %d tokens, and this server takes %d (the model's context is %d)"):format(name, #ids,
    subject.prompt_tokens, subject.context_length), { param = name, code = "context_length_exceeded" }))
end

-- fn(...), which a tokenizer or a template does. A text that it refuses is the request's fault; what fails in a
-- function of the host's is not.
local function try(name, fn, ...)
  local ok, ids = attempt(fn, ...)
  if Problem.is(ids) then error(ids, 0) end
  if not ok then Problem.field(name, "%s: %s", name, text.message(ids)) end
  return ids
end

-- Marks such as <|endoftext|> in a prompt are their tokens: who writes a prompt whole writes its marks, too.
local function encode(subject, value)
  local tokenizer, options = subject.tokenizer, { special = true, bos = true }
  if core._typename(tokenizer) == "gpt.Tokenizer" then return tokenizer:encode(value, options) end
  return hosts("the tokenizer's encode", "table", tokenizer.encode, tokenizer, value, options)
end

local function read_one(subject, value)
  local ids
  if type(value) == "string" then
    ids = try("prompt", encode, subject, value)
  elseif json.is_array(value) then
    ids = check_ids(subject, value)
  else
    Problem.field("prompt", "prompt: a string, a list of token ids, or a list of either expected")
  end
  return check_length(subject, "prompt", ids)
end

local function is_list(value)
  local first = json.is_array(value) and value[1]
  return type(first) == "string" or type(first) == "table"
end

--- The field `prompt`: a string, token ids, or a list of either.
-- @treturn {{integer,...},...}
function prompts.completion(subject, body)
  local value = fields.get(body, "prompt")
  if value == nil then Problem.field("prompt", "prompt is missing") end
  if not is_list(value) then return { read_one(subject, value) } end
  if #value > subject.most_prompts then
    Problem.field("prompt", "prompt: at most %d at once, got %d", subject.most_prompts, #value)
  end
  local list = {}
  for i, each in ipairs(value) do list[i] = read_one(subject, each) end
  return list
end

-- The text of a message's content: a string, or parts of which each is text.
local function read_content(i, content)
  if type(content) == "string" or content == nil then return content or "" end
  if not json.is_array(content) then
    Problem.field("messages", "message %d: content: a string or a list of parts expected", i)
  end
  local pieces = {}
  for k, part in ipairs(content) do
    if type(part) ~= "table" or part.type ~= "text" or type(part.text) ~= "string" then
      Problem.field("messages", "message %d: part %d of content: text is all that this model reads", i, k)
    end
    pieces[k] = part.text
  end
  return table.concat(pieces)
end

-- Calls of tools, and what they returned, would be lost: this server writes text alone.
local function check_tools(i, message)
  if message.role == "tool" or message.role == "function" then
    Problem.field("messages", "message %d: role %s: this server calls no tools", i, message.role)
  end
  for _, name in ipairs { "tool_calls", "function_call" } do
    local value = fields.get(message, name)
    if value ~= nil and not (type(value) == "table" and next(value) == nil) then
      Problem.field("messages", "message %d: %s: this server calls no tools", i, name)
    end
  end
end

-- "developer" is what "system" is called for some models of OpenAI's.
local function read_message(i, message)
  if not json.is_object(message) then Problem.field("messages", "message %d: an object expected", i) end
  local role, content = message.role, fields.get(message, "content")
  if type(role) ~= "string" then Problem.field("messages", "message %d: role: a string expected", i) end
  check_tools(i, message)
  if content == nil and role ~= "assistant" then Problem.field("messages", "message %d: content is missing", i) end
  return { role = role == "developer" and "system" or role, content = read_content(i, content) }
end

local function read_messages(body)
  local list = fields.get(body, "messages")
  if not json.is_array(list) or #list == 0 then
    Problem.field("messages", "messages: a list of at least one message expected")
  end
  local messages = {}
  for i, message in ipairs(list) do messages[i] = read_message(i, message) end
  return messages
end

-- A function of the host's, where the tokenizer has no templates of its own.
local function by_function(subject, messages)
  return encode(subject, subject.template(messages))
end

local function apply_template(tokenizer, ...)
  local _, ids = tokenizer:apply_chat_template(...)
  return ids
end

local function by_template(subject, messages)
  local tokenizer = subject.tokenizer
  local options = { add_generation_prompt = true, template = subject.template, bos = true }
  if core._typename(tokenizer) == "gpt.Tokenizer" then return apply_template(tokenizer, messages, options) end
  return hosts("the tokenizer's apply_chat_template", "table", apply_template, tokenizer, messages, options)
end

--- What is wrong with a template that cannot write one message of a user, the simplest chat; nil otherwise.
function prompts.template_problem(subject)
  if type(subject.template) == "function" or not (subject.can_chat and subject.has_templates) then return nil end
  local ok, problem = attempt(by_template, subject, { { role = "user", content = "Hi" } })
  if ok then return nil end
  problem = Problem.is(problem) and problem.cause or problem
  return "the chat template cannot write a message of a user: " .. text.message(problem)
end

--- The field `messages`, as the model's chat template writes them.
-- @treturn {{integer,...}} one prompt
function prompts.chat(subject, body)
  local messages = read_messages(body)
  if not subject.can_chat then
    error(Problem.new(400, "this model has no chat template; it continues text: /v1/completions", {
      code = "no_chat_template" }))
  end
  local ids = try("messages", subject.has_templates and by_template or by_function, subject, messages)
  return { check_length(subject, "messages", ids) }
end

return prompts
