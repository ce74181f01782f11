-- Room in the context. Where a conversation and an answer no longer fit, the oldest turns go until half of the context
-- is free: making room runs all that stays again, so it is not done a turn at a time.
local prompt = require "gpt.chat.prompt"
local raise = require "gpt.support.raise"

local room = {}

-- How many tokens an answer has to have room for. One whose length was not asked for gets a quarter of the context.
local function wanted(settings, length)
  if not settings.open then return settings.max_new_tokens end
  return math.min(settings.max_new_tokens, math.max(length // 4, 1))
end

local function refuse(what, count, new, length)
  raise("%s: %d tokens and %d new ones need a context_length of %d, and this one is %d; "
    .. 'overflow = "crop" lets the oldest turns go', what, count, new, count + new, length)
end

-- The turns that do not fit go; `behind` tokens of an answer are there already.
local function drop_turns(what, chat, list, settings, behind)
  local made
  repeat
    local dropped = prompt.drop_turn(list, chat.forgotten)
    made = prompt.of(what, chat, list, settings)
  until not dropped or #made.ids + behind <= chat.context_length // 2
  return made
end

--- The prompt of the chat's messages, which lose their oldest turns where it is too long; and how many tokens the
--- answer may have.
function room.fit(what, chat, settings)
  local length, list = chat.context_length, chat.messages
  local made, new = prompt.of(what, chat, list, settings), wanted(settings, length)
  local fits = #made.ids + new <= length
  if not fits and settings.overflow == "error" then refuse(what, #made.ids, new, length) end
  if not fits then made = drop_turns(what, chat, list, settings, 0) end
  local least = #made.ids
  if settings.overflow == "crop" and least + settings.max_new_tokens > length then
    least = #prompt.shortest(what, chat, list, settings).ids
  end
  if least >= length then
    raise("%s: this turn alone has %d tokens, and a context_length of %d leaves no room for an answer", what, least,
      length)
  end
  return made, math.min(settings.max_new_tokens, length - least)
end

--- The same in the middle of an answer of `behind` tokens; the list does not have the answer.
function room.make(what, chat, list, settings, behind)
  return drop_turns(what, chat, list, settings, behind)
end

return room
