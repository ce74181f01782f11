-- Log probabilities of the tokens that were drawn, and of the most likely others, in the two forms of the interface.
-- They are written as JSON when a token is drawn: until its answer ends they wait as text, and the end is no long step.
local core = require "gpt.core"
local json = require "gpt.support.json"
local text = require "gpt.server.text"

local logprobs = { chat = {}, completion = {} }

local LEAST = -9999.0 -- for -inf, which JSON has not

-- The log probability of an id, and the `most` most likely tokens.
local function likeliest(logits, position, id, most)
  local vocab = logits:size(-1)
  local all = logits:reshape(-1, vocab):select(1, position):log_softmax(1)
  local values, positions = all:topk(math.min(most, vocab), 1)
  values, positions = values:totable(), positions:totable()
  local top = {}
  for i, value in ipairs(values) do top[i] = { id = positions[i] - 1, logprob = value } end
  return all[id + 1]:item(), top
end

--- What a row measures of its logits: a function for Row's `measure`, which keeps what the form writes of them.
-- @tparam table form `logprobs.chat` or `logprobs.completion`
-- @tparam integer most how many of the most likely tokens
function logprobs.measure(form, tokenizer, most)
  return function(logits, position, id)
    local logprob, top
    if most == 0 then
      logprob, top = core._log_probability(logits, position, id), {}
    else
      logprob, top = likeliest(logits, position, id, most)
    end
    return form.write(tokenizer, { id = id, logprob = logprob }, top)
  end
end

local function finite(value)
  return math.max(value, LEAST)
end

local function entry(tokenizer, token, top)
  local bytes = tokenizer:decode { token.id }
  return {
    token = text.clean(bytes), logprob = finite(token.logprob), bytes = json.array { bytes:byte(1, -1) },
    top_logprobs = top,
  }
end

-- A token's text.
function logprobs.chat.write(tokenizer, token, top)
  local others = json.array {}
  for i, other in ipairs(top) do others[i] = entry(tokenizer, other) end
  return json.encode(entry(tokenizer, token, others))
end

--- What was written of tokens, in the form of chat: `{ content = {...}, refusal = null }`.
function logprobs.chat.join(measured)
  return { content = json.written(measured), refusal = json.null }
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

-- A token's texts for each of the lists, and how many characters begin in it.
function logprobs.completion.write(tokenizer, token, top)
  local bytes = tokenizer:decode { token.id }
  return {
    json.quote(text.clean(bytes)), json.encode(finite(token.logprob)), json.encode(by_text(tokenizer, top)),
    length = text.length(bytes),
  }
end

local function column(measured, k)
  local texts = {}
  for i, token in ipairs(measured) do texts[i] = token[k] end
  return json.written(texts)
end

--- The form of completions.
-- @tparam {table,...} measured what was written of tokens
-- @tparam integer offset characters of the text before these tokens; those before the next ones are returned
function logprobs.completion.join(measured, offset)
  local offsets = json.array {}
  for i, token in ipairs(measured) do
    offsets[i], offset = offset, offset + token.length
  end
  return {
    tokens = column(measured, 1), token_logprobs = column(measured, 2), top_logprobs = column(measured, 3),
    text_offset = offsets,
  }, offset
end

return logprobs
