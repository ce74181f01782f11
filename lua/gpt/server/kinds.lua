-- The two ways to ask, and the form of what comes back: whole, and in the events of a stream.
local json = require "gpt.support.json"
local logprobs = require "gpt.server.logprobs"

local kinds = {}

local chat, completion = { logprobs = logprobs.chat }, { logprobs = logprobs.completion }
kinds.chat, kinds.completion = chat, completion

chat.id, chat.object, chat.event_object = "chatcmpl-", "chat.completion", "chat.completion.chunk"
completion.id, completion.object, completion.event_object = "cmpl-", "text_completion", "text_completion"

-- index: from 0. reason: nil while it goes on.
function chat.choice(index, text, reason, measured)
  return {
    index = index, message = { role = "assistant", content = text, refusal = json.null },
    finish_reason = reason or json.null, logprobs = measured or json.null,
  }
end

local function delta(index, content, reason, measured)
  return { index = index, delta = content, finish_reason = reason or json.null, logprobs = measured or json.null }
end

function chat.first(index)
  return delta(index, { role = "assistant", content = "" })
end

function chat.piece(index, text, measured)
  return delta(index, { content = text }, nil, measured)
end

function chat.last(index, reason, measured)
  return delta(index, {}, reason, measured)
end

function completion.choice(index, text, reason, measured)
  return { index = index, text = text, finish_reason = reason or json.null, logprobs = measured or json.null }
end

function completion.first()
  return nil
end

function completion.piece(index, text, measured)
  return completion.choice(index, text, nil, measured)
end

function completion.last(index, reason, measured)
  return completion.choice(index, "", reason, measured)
end

return kinds
