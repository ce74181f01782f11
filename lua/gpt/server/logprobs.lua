-- Log probabilities of the tokens that were drawn, and of the most likely others, in the two forms of the interface.
local core = require "gpt.core"
local json = require "gpt.support.json"
local text = require "gpt.server.text"

local logprobs = {}

local LEAST = -9999.0 -- for -inf, which JSON has not

--- What a row measures of its logits: a function for Row's `measure`, which keeps the `most` most likely tokens.
function logprobs.measure(most)
  return function(logits, position, id)
    if most == 0 then return { id = id, logprob = core._log_probability(logits, position, id), top = {} } end
    local vocab = logits:size(-1)
    local all = logits:reshape(-1, vocab):select(1, position):log_softmax(1)
    local values, positions = all:topk(math.min(most, vocab), 1)
    values, positions = values:totable(), positions:totable()
    local top = {}
    for i, value in ipairs(values) do top[i] = { id = positions[i] - 1, logprob = value } end
    return { id = id, logprob = all[id + 1]:item(), top = top }
  end
end

local function finite(value)
  return math.max(value, LEAST)
end

local function entry(tokenizer, token)
  local bytes = tokenizer:decode { token.id }
  return {
    token = text.clean(bytes), logprob = finite(token.logprob), bytes = json.array { bytes:byte(1, -1) },
  }
end

--- The form of chat: `{ content = {...}, refusal = null }`.
function logprobs.chat(tokenizer, measured)
  local content = json.array {}
  for i, token in ipairs(measured) do
    content[i] = entry(tokenizer, token)
    content[i].top_logprobs = json.array {}
    for k, other in ipairs(token.top) do content[i].top_logprobs[k] = entry(tokenizer, other) end
  end
  return { content = content, refusal = json.null }
end

-- Several tokens may look the same where they are no whole characters: the likeliest stays.
local function by_text(tokenizer, top)
  local likely = {}
  for _, token in ipairs(top) do
    local name = text.clean(tokenizer:decode { token.id })
    likely[name] = likely[name] or finite(token.logprob)
  end
  return likely
end

--- The form of completions.
-- @tparam integer offset characters of the text before these tokens
function logprobs.completion(tokenizer, measured, offset)
  local result = {
    tokens = json.array {}, token_logprobs = json.array {}, top_logprobs = json.array {}, text_offset = json.array {},
  }
  for i, token in ipairs(measured) do
    local bytes = tokenizer:decode { token.id }
    result.tokens[i], result.token_logprobs[i] = text.clean(bytes), finite(token.logprob)
    result.top_logprobs[i], result.text_offset[i] = by_text(tokenizer, token.top), offset
    offset = offset + text.length(bytes)
  end
  return result, offset
end

return logprobs
