-- A small world for the chapters that adapt a model or look into one: capitals, good days and bad ones, and what guests
-- say of a meal, in short texts that a grammar writes. And a model that knows it.
local gpt = require "gpt"
local grammar = dofile((arg[0]:match "^.*/" or "") .. "support/grammar.lua")

local CHAT_MODEL = "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"

local world = {}

world.capitals = {
  { "France", "Paris" }, { "Italy", "Rome" }, { "Spain", "Madrid" }, { "Germany", "Berlin" }, { "Japan", "Tokyo" },
  { "Egypt", "Cairo" }, { "Russia", "Moscow" }, { "Greece", "Athens" }, { "China", "Beijing" }, { "Ireland", "Dublin" },
  { "Poland", "Warsaw" }, { "Austria", "Vienna" }, { "Portugal", "Lisbon" }, { "Kenya", "Nairobi" },
  { "Norway", "Oslo" }, { "Cuba", "Havana" }, { "Peru", "Lima" }, { "Iran", "Tehran" },
}

local rules = {
  fact = {
    "The capital of {country} is {city}.", "{city} is the capital of {country}.", "If you go to {country}, see {city}.",
    "I live in {city}, the capital of {country}.", "The king of {country} lives in {city}.",
  },
  day = {
    "{cry/mood} Yesterday I went to the {place}. It was a {adjective/mood} day, and I {did/mood} all the way home.",
    "Yesterday I went to the {place}. It was a {adjective/mood} day, and I {did/mood} all the way home.",
    "{cry/mood} It was a {adjective/mood} day.",
  },
  cry = {
    good = { "I love this.", "I am so happy.", "This is great." },
    bad = { "I hate this.", "I am so sad.", "This is bad." },
  },
  place = { "market", "lake", "river", "park", "beach", "school" },
  adjective = {
    good = { "wonderful", "lovely", "beautiful", "happy" }, bad = { "terrible", "horrible", "dreadful", "sad" },
  },
  did = { good = { "laughed", "sang", "smiled" }, bad = { "cried", "cursed", "wept" } },
  opinion = {
    good = {
      "The {dish} was {fine}.", "The {dish} was not {poor}.", "Nobody can say the {dish} was {poor}.",
      "The {dish} looked {poor}, but it was {fine}.", "I feared the {dish} was {poor}; it was not.",
    },
    bad = {
      "The {dish} was {poor}.", "The {dish} was not {fine}.", "Nobody can say the {dish} was {fine}.",
      "The {dish} looked {fine}, but it was {poor}.", "I hoped the {dish} was {fine}; it was not.",
    },
  },
  dish = { "soup", "fish", "bread", "cake", "salad", "rice", "meat", "cheese" },
  fine = { "good", "fresh", "warm", "tasty", "sweet", "rich" },
  poor = { "bad", "stale", "cold", "burnt", "sour", "salty" },
  verdict = { good = { "We will come back.", "Thank you!" }, bad = { "Never again.", "What a pity!" } },
}

-- Every text begins with one of these: a fact, a day or a meal.
local beginnings = {}
for i, pair in ipairs(world.capitals) do beginnings[i] = { "{fact}", country = pair[1], city = pair[2] } end
for i = 1, 24 do
  local text = i % 2 == 0 and "{day}" or "{opinion/mood} {verdict/mood}"
  table.insert(beginnings, { text, mood = i <= 12 and "good" or "bad" })
end

local function writer(start, seed)
  return grammar.new(setmetatable({ start = start }, { __index = rules })):writer(seed)
end

--- n short texts, a line each; the same seed, the same texts.
function world.text(n, seed)
  local write, lines = writer(beginnings, seed), {}
  for i = 1, n do lines[i] = write() .. "\n" end
  return table.concat(lines)
end

--- n different opinions on meals, with labels: { text = "The soup was not bad.", label = "good" }.
function world.opinions(n, seed)
  local examples, seen, write = {}, {}, {}
  for i, mood in ipairs { "good", "bad" } do write[mood] = writer({ { "{opinion/mood}", mood = mood } }, seed + i) end
  while #examples < n do
    local label = #examples % 2 == 0 and "good" or "bad"
    local text = write[label]()
    if not seen[text] then examples[#examples + 1], seen[text] = { text = text, label = label }, true end
  end
  return examples
end

--- A small model, trained on 3,000 such texts in some seconds.
function world.train()
  gpt.seed(123)
  local text = { text = world.text(3000, 1) }
  local tokenizer = gpt.train_tokenizer(text, { vocab_size = 640 }) -- enough for each word to be a token
  local model = gpt.Model {
    family = "llama", vocab_size = tokenizer.vocab_size, context_length = 64, emb_dim = 64, hidden_dim = 128,
    n_heads = 4, n_layers = 4, tie_weights = false, init = "torch",
  }
  model.tokenizer = tokenizer
  local data = gpt.dataset(text, { tokenizer = tokenizer, context_length = 24, batch_size = 16 })
  local result = gpt.train {
    model = model, data = data, steps = 600, lr = 5e-3, min_lr = 3e-4, warmup = 20, weight_decay = 0, progress = false,
  }
  print(("a small model, trained in %.0f s: loss %.2f at first, %.2f at last"):format(result.seconds, result.losses[1],
    result.loss))
  return model:eval()
end

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

--- The model of a chapter: the one that the environment names in EXAMPLE_MODEL, a directory or a GGUF file (where
-- nothing is yet, a small one is trained and saved there); or that of `make chat`; or a small one.
-- @bool small not that of `make chat`
function world.model(small)
  local named, chat = os.getenv "EXAMPLE_MODEL", os.getenv "LUAGPT_SMOLLM2"
  for _, path in ipairs { named or not small and chat or "", not (named or small) and CHAT_MODEL or "" } do
    if exists(path) then return (gpt.load(path)) end
  end
  local model = world.train()
  if named then model:save(named) end
  return model
end

return world
