-- The tokens of a conversation, and which of its turns fit into the context.
local chat_template = require "gpt.chat_template"
local messages = require "gpt.chat_template.messages"
local raise = require "gpt.support.raise"
local render = require "gpt.chat_template.render"

local prompt = {}

-- Places that lie behind the first n bytes, from there.
local function places_behind(places, n)
  local list = {}
  for _, place in ipairs(places) do
    if place > n then list[#list + 1] = place - n end
  end
  return list
end

local function joined(a, b)
  local all = table.move(a, 1, #a, 1, {})
  return table.move(b, 1, #b, #all + 1, all)
end

-- Whether the text goes on from what the chat heard last, with a mark: what follows can be encoded by itself.
local function goes_on(chat, text, behind)
  local heard = chat._heard
  return heard and behind[1] ~= 1 and text:sub(1, #heard.text) == heard.text
    and chat._marks:at(text, #heard.text + 1) ~= nil
end

-- Ids of the text. The model's own answers keep the ids that it wrote: encoding their text may give others.
local function encode(chat, text, places)
  local heard = chat._heard
  local behind = heard and places_behind(places, #heard.text) or places
  if not goes_on(chat, text, behind) then return chat_template.encode(chat.tokenizer, text, places, true) end
  return joined(heard.ids, chat_template.encode(chat.tokenizer, text:sub(#heard.text + 1), behind, false))
end

--- @param list messages
--- @param settings `request`, `extra`, `special`
--- @treturn table `text`, `ids`
function prompt.of(what, chat, list, settings)
  local text, places = render(what, chat._template, {
    messages = list, tools = settings.request.tools, documents = settings.request.documents, extra = settings.extra,
    roles = chat._roles, special = settings.special, add_generation_prompt = true,
  }, chat._marks)
  local ids = encode(chat, text, places)
  if #ids == 0 then raise("%s: the chat template's text is empty", what) end
  return { text = text, ids = ids }
end

-- Where the second turn begins, if the first one may go: the last one stays.
local function second_turn(list)
  local first = messages.instructions(list) + 1
  local last = messages.last_turn(list) or #list
  for i = first + 1, last do
    if list[i].role == "user" then return first, i end
  end
end

--- Moves the oldest turn from one list to the other. Returns whether there was one to go.
function prompt.drop_turn(list, forgotten)
  local first, second = second_turn(list)
  if not second then return false end
  for _ = first, second - 1 do forgotten[#forgotten + 1] = table.remove(list, first) end
  return true
end

--- The prompt of the instructions and the last turn alone.
function prompt.shortest(what, chat, list, settings)
  local copy = table.move(list, 1, #list, 1, {})
  while prompt.drop_turn(copy, {}) do end
  return prompt.of(what, chat, copy, settings)
end

return prompt
