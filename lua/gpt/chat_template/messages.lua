-- What a list of messages has to be: tables with a role and a content, and whatever else a template asks of them.
local items = require "gpt.support.items"
local known_fields = require "gpt.support.known_fields"
local name_list = require "gpt.support.name_list"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local messages = {}

local EXAMPLE = '{ role = "user", content = "..." }'

local function check_content(what, name, message)
  local content = message.content
  if type(content) == "string" or type(content) == "table" then return end
  if message.tool_calls ~= nil then return end -- an assistant's calls may come without words
  local role = name_list.line { message.role }
  if content ~= nil then
    raise("%s: %s (%s): content: a text, or a list of parts, expected, got %s", what, name, role,
      validate.show(content))
  end
  raise("%s: %s (%s) has no content; it has %s", what, name, role, name_list.line(known_fields.names(message)))
end

--- Raises where a message has no role or content; `name` calls it ("message 2").
function messages.check_one(what, name, message)
  if type(message) ~= "table" then
    raise("%s: %s: a table %s expected, got %s", what, name, EXAMPLE, validate.show(message))
  end
  if type(message.role) ~= "string" or message.role == "" then
    raise("%s: %s has no role; a message is %s", what, name, EXAMPLE)
  end
  check_content(what, name, message)
end

--- The same for a list of them.
function messages.check(what, list)
  if type(list) ~= "table" then
    raise("%s: a list of messages, { %s }, expected, got %s", what, EXAMPLE, validate.show(list))
  end
  if list[1] == nil and next(list) ~= nil then
    raise("%s: a list of messages, { %s }, expected, got a table with the fields %s", what, EXAMPLE,
      name_list.line(known_fields.names(list)))
  end
  for i, message in items(list) do messages.check_one(what, "message " .. i, message) end
end

--- How many messages at the beginning are instructions, which stay where old turns go.
function messages.instructions(list)
  local n = 0
  while list[n + 1] and (list[n + 1].role == "system" or list[n + 1].role == "developer") do n = n + 1 end
  return n
end

--- Where the last turn begins: the last message of the user's, or nil.
function messages.last_turn(list)
  for i = #list, 1, -1 do
    if list[i].role == "user" then return i end
  end
end

return messages
