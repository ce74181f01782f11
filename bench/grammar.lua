-- What a grammar costs: time for each drawn token, sampling included, without a model. Run by hand:
--
--   lua5.4 bench/grammar.lua [directory of a tokenizer]
--
-- Without a directory the vocabulary has 49,152 tokens: the bytes, and words of random letters.
local core = require "gpt.core"
local gpt = require "gpt"

local TOKENS, SEEDS = 200, 10

local function random_words(count)
  local tokenizer, words = { eos = 256, vocab_size = count }, {}
  local state = 1
  local function pick(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n
  end
  for id = 0, count - 1 do
    local word = {}
    for i = 1, 2 + pick(7) do word[i] = string.char(i == 1 and pick(2) == 0 and 32 or 97 + pick(26)) end
    words[id] = id < 256 and string.char(id) or id == 256 and "" or table.concat(word)
  end
  function tokenizer.encode(_, text) return { text:byte(1, -1) } end
  function tokenizer.decode(_, ids)
    local list = {}
    for i, id in ipairs(ids) do list[i] = words[id] end
    return table.concat(list)
  end
  return tokenizer
end

local tokenizer = arg[1] and gpt.tokenizer(arg[1]) or random_words(49152)
gpt.seed(1)
local logits = gpt.randn(tokenizer.vocab_size):view(1, -1)

local PERSON = [[{ "type": "object", "properties": {
  "name": { "type": "string", "minLength": 1, "maxLength": 30 },
  "age": { "type": "integer", "minimum": 0, "maximum": 120 },
  "tags": { "type": "array", "items": { "enum": ["new", "old"] }, "maxItems": 3 }, "note": { "type": "string" } },
  "required": ["name", "age", "note"] }]]

local CASES = {
  { "no grammar" },
  { "any text", { regex = "(.|\n)*" } },
  { "any JSON object", { json_schema = { type = "object" } } },
  { "a record with strings", { json_schema = PERSON } },
  { "words, 10 at least", { regex = "([a-z]+ ){10,}" } },
  { "a string of up to 200 characters", { json_schema = { type = "string", maxLength = 200 } } },
}

-- Milliseconds a pass: the first run over a grammar, which works out everything, and a second one.
local function time(grammar)
  local passes, tokens = 0, 0
  local function model()
    passes = passes + 1
    return logits
  end
  local began = core._now()
  for seed = 1, SEEDS do
    tokens = tokens - 1 + #gpt.generate(model, { 65 }, {
      tokenizer = tokenizer, context_length = TOKENS + 1, max_new_tokens = TOKENS, temperature = 1, seed = seed,
      grammar = grammar, stop = not grammar and false or nil,
    })
  end
  return (core._now() - began) / passes * 1e3, tokens / passes
end

time()
print(("%-34s %14s %14s %16s"):format("ms a drawn token", "first time", "again", "tokens a pass"))
for _, case in ipairs(CASES) do
  local grammar = case[2] and gpt.grammar(case[2])
  local first = time(grammar)
  local again, share = time(grammar)
  print(("%-34s %14.3f %14.3f %16.2f"):format(case[1], first, again, share))
end
