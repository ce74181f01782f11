--- Conversations with a chat model.
-- @classmod Chat
local Marks = require "gpt.chat_template.marks"
local Turn = require "gpt.chat.turn"
local chat_file = require "gpt.chat.file"
local chat_template = require "gpt.chat_template"
local core = require "gpt.core"
local find = require "gpt.chat_template.find"
local known_fields = require "gpt.support.known_fields"
local memory = require "gpt.chat.memory"
local messages = require "gpt.chat_template.messages"
local methods = require "gpt.support.methods"
local options = require "gpt.chat.options"
local raise = require "gpt.support.raise"
local show = require "gpt.chat.show"
local subject = require "gpt.generate.subject"
local tokenizers = require "gpt.generate.tokenizers"
local turn_end = require "gpt.chat_template.turn_end"
local validate = require "gpt.support.validate"

local Chat = {}

--- The messages so far, a list that you may read and change: `{ role = "user", content = "Hello" }`. The next answer
-- is to these messages, and only what differs from before is computed.
-- @tfield {table,...} Chat.messages

--- The oldest messages, which no longer fit into the context.
-- @tfield {table,...} Chat.forgotten

--- The instructions: the content of the system's message, or nil. Setting it changes or adds that message, and nil
-- removes it.
-- @tfield string|nil Chat.system

--- Of the last answer: `prompt_tokens`, `cached_tokens` (those of the prompt that were not computed again),
-- `completion_tokens`, `finish_reason` ("stop": by the model or a stop string; "length": by max_new_tokens or the
-- context; "complete": by a grammar; "interrupted": by the reader), `prompt_seconds`, and `seconds` of what followed
-- the prompt. Nil before the first one.
-- @tfield table|nil Chat.usage

--- The session whose tokens the chat has computed; nil over a function.
-- @tfield Session|nil Chat.session

local metatable = { __name = "gpt.Chat" }
local find_field = known_fields.index("a gpt.Chat", Chat, { "usage", "session", "system", "tokenizer" })

local function system_message(self)
  local first = self.messages[1]
  return first and first.role == "system" and first or nil
end

function metatable:__index(key)
  if key == "system" then
    local message = system_message(self)
    return message and message.content
  end
  if type(key) == "string" and key:find "^_" then return nil end
  return find_field(self, key)
end

local function set_system(self, text)
  if text ~= nil and type(text) ~= "string" then
    raise("chat.system: a text expected, got %s", validate.show(text))
  end
  local message = system_message(self)
  if text == nil then
    if message then table.remove(self.messages, 1) end
  elseif message then
    message.content = text
  else
    table.insert(self.messages, 1, { role = "system", content = text })
  end
end

function metatable:__newindex(key, value)
  if key == "system" then return set_system(self, value) end
  if key == "usage" or type(key) == "string" and key:find "^_" then return rawset(self, key, value) end
  known_fields.refuse("a gpt.Chat", "field ", tostring(key), { "messages", "system" },
    "you may set messages and system")
end

metatable.__tostring = show

local function find_tokenizer(what, known)
  if known.tokenizer then return known.tokenizer end
  raise("%s: %s", what, tokenizers.missing(known.model))
end

-- The list that a chat begins with.
local function first_messages(what, given)
  local list = {}
  if given.messages ~= nil then
    messages.check(what .. ": messages", given.messages)
    table.move(given.messages, 1, #given.messages, 1, list)
  end
  if given.system then
    if list[1] and list[1].role == "system" then
      raise("%s: system: messages begin with a system message already", what)
    end
    table.insert(list, 1, { role = "system", content = given.system })
  end
  return list
end

local function set_memory(what, self, known, given)
  if not known.is_model then
    for _, name in ipairs { "cache_dtype", "hooks" } do
      if given[name] ~= nil then raise("%s: %s is for models, and this is a function", what, name) end
    end
    self._memory = memory.of_function(what, known.model, known.context_length)
    return
  end
  self.session = known.model:session { cache_dtype = given.cache_dtype, use_cache = given.use_cache,
    hooks = given.hooks }
  self._memory = memory.of_session(self.session)
end

--- Begins a conversation with a chat model. Also `model:chat(options)`.
--
-- It is over a session: of every turn only what is new is computed. Where the conversation and an answer no longer fit
-- into the context, the oldest turns go to `chat.forgotten` until half of it is free; the system's message stays. An
-- answer ends at any end token that the model's files name, and at the mark with which the template ends a message.
-- Marks such as `<|im_end|>` in your texts are text (see `Tokenizer:apply_chat_template`).
-- @function gpt.chat
-- @param model a model; or any function from ids to logits, as for `gpt.generate`, with the options `context_length`
-- and `tokenizer`
-- @tparam[opt] table options what follows; any other name is a variable of the template, such as Qwen's
-- `enable_thinking`
-- @tparam[opt] string options.system instructions, the first message. Some templates have their own in its absence
-- @tparam[opt] {table,...} options.messages a conversation to continue
-- @param[opt] options.template in place of the files': a Jinja template, the name of one of the files', or a
-- function(messages, options) that returns the text
-- @tparam[opt=1024] integer options.max_new_tokens of an answer at most; and `temperature`, `top_k`, `top_p`, `min_p`,
-- `repetition_penalty`, `stop`, `grammar`, `process`, `on_finish`: see `gpt.generate`
-- @tparam[opt] integer options.seed of the conversation's own random numbers
-- @tparam[opt="crop"] string options.overflow "crop": the oldest turns go; "error": a turn that may not fit is an error
-- @tparam[opt=false] boolean options.special true: marks in messages count
-- @tparam[opt] {table,...} options.tools for the template; and `documents`
-- @tparam[opt="f32"] string options.cache_dtype "f16": see `Model:session`; and `use_cache` and `hooks`
-- @tparam[opt] Tokenizer options.tokenizer in place of model.tokenizer
-- @tparam[opt] integer options.context_length at most the model's; required for a function
-- @treturn Chat
-- @raise if there is no tokenizer or no template, or if an option is wrong
-- @usage local template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "
-- local chat = gpt.chat(model, { system = "Be brief.", template = template, stop = "\n" })
-- print(chat:say("Hello", { max_new_tokens = 10 }))
local function new(model, given)
  local what = "gpt.chat"
  given = options.check_table(what, given)
  local known = subject.describe(what, model, given)
  local tokenizer = find_tokenizer(what, known)
  local template = find(what, given.template, tokenizer, known.is_model and model or nil, given.tools)
  local self = {
    model = model, tokenizer = tokenizer, context_length = known.context_length,
    messages = first_messages(what, given), forgotten = {},
    _template = template, _roles = chat_template.roles(tokenizer), _marks = Marks.of(tokenizer),
    _options = options.of_chat(what, given, template),
    _random = core._generator(given, what, 0),
  }
  set_memory(what, self, known, given)
  self._turn_end = turn_end(tokenizer, template, self._options.extra)
  return setmetatable(self, metatable)
end

local function as_message(what, text)
  if type(text) == "string" then return { role = "user", content = text } end
  if type(text) ~= "table" then
    raise('%s: a text, or a message such as { role = "tool", content = "..." }, expected, got %s', what,
      validate.show(text))
  end
  messages.check_one(what, "the message", text)
  return text
end

-- Ends a turn that somebody left without closing it.
local function settle(self)
  if self._turn then self._turn:finish() end
end

local function begin(what, self, text, given)
  local message = as_message(what, text)
  settle(self)
  local settings = options.of_answer(what, given, self._options, self._template)
  messages.check(what .. ": chat.messages", self.messages)
  local ok, turn = pcall(Turn.begin, what, self, message, settings)
  if ok then return turn end
  settle(self)
  error(turn, 0)
end

--- Says something, and returns the answer; both become messages. After an error, Ctrl-C among them, the chat goes on:
-- it has what came of the answer, or, where nothing came, neither message.
-- @tparam string|table text the user's, or a message of any role
-- @tparam[opt] table options for this answer: `max_new_tokens`, `temperature`, `top_k`, `top_p`, `min_p`,
-- `repetition_penalty`, `seed`, `stop`, `grammar`, `process`, `on_finish`, `overflow`, `special`, `tools`, `documents`,
-- and the template's variables
-- @treturn string the answer
-- @raise if the text leaves no room for an answer in the context, or if the template raises an error
-- @usage print(chat:say("Hello", { max_new_tokens = 10 }))
function Chat:say(text, options_of_answer)
  local turn <close> = begin("chat:say", self, text, options_of_answer)
  repeat until not turn:next()
  return turn.answer.content
end

--- Says something, and returns the answer piece by piece. If you leave the loop early, what came stays as the answer.
-- @tparam string|table text as for `say`
-- @tparam[opt] table options as for `say`
-- @treturn function an iterator over pieces of text, for `for ... in`
-- @usage for piece in chat:stream("Hello", { max_new_tokens = 10 }) do io.write(piece) io.flush() end
function Chat:stream(text, options_of_answer)
  local turn = begin("chat:stream", self, text, options_of_answer)
  return function() return turn:next() end, nil, nil, turn
end

--- Takes the last turn back: the user's last message and all behind it.
-- @treturn string|nil what the user had said, so that `chat:say(chat:undo())` asks for another answer; nil if there is
-- no turn
-- @usage chat:undo()
function Chat:undo()
  settle(self)
  local list = self.messages
  local first = messages.last_turn(list)
  if not first then return nil end
  local said = list[first].content
  for i = #list, first, -1 do list[i] = nil end
  return said
end

--- Begins again: only the instructions stay.
-- @treturn Chat itself
-- @usage chat:reset()
function Chat:reset()
  settle(self)
  for i = #self.messages, messages.instructions(self.messages) + 1, -1 do self.messages[i] = nil end
  for i = #self.forgotten, 1, -1 do self.forgotten[i] = nil end
  return self
end

--- Writes the messages, the forgotten ones too, as JSON: a list of `{"role": ..., "content": ...}`. The file appears
-- whole or not at all.
-- @tparam string file
-- @usage chat:save "chat.json"
function Chat:save(file)
  validate.file_name("chat:save", file)
  settle(self)
  local list, n = self.messages, messages.instructions(self.messages)
  local all = table.move(list, 1, n, 1, {})
  table.move(self.forgotten, 1, #self.forgotten, #all + 1, all)
  chat_file.write(file, table.move(list, n + 1, #list, #all + 1, all))
end

--- Goes on with the messages of a file that `save` wrote, in place of its own.
-- @tparam string file
-- @treturn Chat itself
-- @usage chat:save "chat.json"
-- chat:load "chat.json"
function Chat:load(file)
  validate.file_name("chat:load", file)
  settle(self)
  local list = chat_file.read("chat:load", file)
  self:reset()
  for i = #self.messages, 1, -1 do self.messages[i] = nil end
  table.move(list, 1, #list, 1, self.messages)
  return self
end

--- Begins a conversation: `gpt.chat` with this model.
-- @function Model:chat
-- @tparam[opt] table options as for `gpt.chat`: `system`, `messages`, `template`, `max_new_tokens` (1024),
-- `temperature`, `top_k`, `top_p`, `min_p`, `repetition_penalty`, `seed`, `stop`, `overflow`, `special`, `cache_dtype`
-- @treturn Chat
-- @usage local chat = model:chat { system = "Be brief.", template = "{{ messages[-1].content }}" }
-- print(chat:say("Hello", { max_new_tokens = 10 }))
methods.check("a gpt.Chat", Chat, metatable)

core._layer_methods.chat = new

return new
