-- What gpt.multiple_choice counts and returns.
local known_fields = require "gpt.support.known_fields"
local neutral = require "gpt.support.neutral"
local printed = require "gpt.support.printed"
local scorer = require "gpt.scoring.scorer"
local validate = require "gpt.support.validate"

local result = {}

local KINDS = { "acc", "acc_norm", "acc_bytes", "acc_tokens" }

local Result = { __name = "gpt.MultipleChoice", __index = known_fields.index("a result", nil, { "examples" }) }

local function shown(self, kind)
  return neutral.format("%s %.4f ± %.4f", kind, self[kind], self[kind .. "_stderr"])
end

function Result:__tostring()
  return ("MultipleChoice { %s: %s, %s, %s, %s }"):format(validate.counted(self.count, "example", "examples"),
    shown(self, KINDS[1]), shown(self, KINDS[2]), shown(self, KINDS[3]), shown(self, KINDS[4]))
end

-- The first greatest, from 0.
local function argmax(list)
  local best = 1
  for i, value in ipairs(list) do
    if value > list[best] then best = i end
  end
  return best - 1
end

local function each(list, fn)
  local made = {}
  for i, item in ipairs(list) do made[i] = fn(item, i) end
  return made
end

--- How a question was answered, by the sums of its endings' log probabilities and by these per length.
function result.answer(question, scores)
  local sums = each(scores, scorer.sum)
  local function per(length)
    return each(sums, function(sum, i) return sum / math.max(1, length(question.endings[i], i)) end)
  end
  local answer = {
    place = question.place, label = question.label, log_likelihoods = printed(sums),
    tokens = printed(each(scores, function(list) return #list end)), acc = argmax(sums),
    acc_norm = argmax(per(function(ending) return utf8.len(ending) or #ending end)),
    acc_bytes = argmax(per(function(ending) return #ending end)),
    acc_tokens = argmax(per(function(_, i) return #scores[i] end)),
  }
  return printed(answer)
end

function result.new(details)
  local counts = { n = 0, examples = details and {} or nil }
  for _, kind in ipairs(KINDS) do counts[kind] = 0 end
  return counts
end

function result.add(counts, answer)
  counts.n = counts.n + 1
  for _, kind in ipairs(KINDS) do
    if answer[kind] == answer.label then counts[kind] = counts[kind] + 1 end
  end
  if counts.examples then counts.examples[counts.n] = answer end
end

--- The counts so far as a table.
function result.of(counts)
  local n = counts.n
  local self = { count = n, examples = counts.examples and printed(table.move(counts.examples, 1, n, 1, {})) }
  for _, kind in ipairs(KINDS) do
    local share = counts[kind] / n
    self[kind] = share
    self[kind .. "_stderr"] = n > 1 and math.sqrt(share * (1 - share) / (n - 1)) or 0.0
  end
  return setmetatable(self, Result)
end

return result
