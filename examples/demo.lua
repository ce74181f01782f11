-- A GPT from scratch: sizes, a small model, a minute of training, and text that it writes.
--
--   make demo              trains on short tales that a grammar writes (support/tales.lua)
--   make demo TEXT=file    trains on a text of your own
--
-- Environment: DEMO_DIR, where the model and the picture go; DEMO_STEPS, how many steps (as many as take a minute).
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local gpt = require "gpt"
local tales = require "support.tales"

local file, dir = arg[1], os.getenv "DEMO_DIR" or "demo"
local SECONDS, MOST_STEPS = 75, 700
local END = "<|endoftext|>"
local LARGEST = 100000000 -- bytes of a text: more than a demo needs, and an end for files that have none

local function heading(text)
  print(("\n== %s\n"):format(text))
end

local function grouped(n)
  return (("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

-- Ends the demo with a message instead of a traceback.
local function stop(...)
  io.stderr:write("\n", string.format(...), "\n")
  os.exit(1)
end

local function read_text()
  local opened, problem = io.open(file, "rb")
  local content
  if opened then
    content, problem = opened:read(LARGEST + 1)
    opened:close()
    if not content and not problem then content = "" end -- an empty file
  end
  if content and #content > LARGEST then stop("%s has over %d MB, too much for a demo", file, LARGEST // 1000000) end
  if content then return content end
  if not problem:find(file, 1, true) then problem = file .. ": " .. problem end
  return stop("%s. Give the name of a text file: make demo TEXT=file", problem)
end

-- The text's first word, or its first letters where they are written without spaces.
local function beginning(content)
  local word = content:match "^%s*(%S+)" or content:sub(1, 1)
  return #word <= 30 and word or (word:sub(1, 30):gsub("[\192-\255][\128-\191]*$", ""))
end

heading "The GPT-2s and GPT-3, on paper"
print(("%-12s %15s %15s %12s"):format("", "parameters", "float32", "KV cache"))
for _, name in ipairs { "gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl", "gpt3" } do
  local size = gpt.size(name)
  print(("%-12s %15s %11.1f GiB %8.1f MiB"):format(name, grouped(size.parameters), size.bytes.f32 / 2 ^ 30,
    size.kv_cache_bytes / 2 ^ 20))
end

heading(file and "The text" or "The tales")
local text, floor, prompt
if file then
  text = read_text()
  prompt = beginning(text)
  print(("%s: %s bytes"):format(file, grouped(#text)))
else
  text, prompt = tales.write(6000, 1), "Once there was"
  print(text:match("^(.-)" .. END))
end
local tokenizer = gpt.train_tokenizer(text, { vocab_size = 1024 })
if not file then
  local bits, tokens
  floor, bits, tokens = tales.floor(tokenizer)
  print(("\nEvery tale is one of 2^%.1f. In %.1f tokens, that is %.4f nats for each: the floor of the loss.")
    :format(bits, tokens, floor))
end

heading "A small GPT"
gpt.seed(123)
local config = {
  vocab_size = tokenizer.vocab_size, context_length = 192, emb_dim = 128, n_heads = 4, n_layers = 3, drop_rate = 0,
  qkv_bias = true,
}
local model = gpt.Model(config)
model.tokenizer = tokenizer
print(model)

-- Windows of the text to train on. The model is evaluated on text it has not seen: whole new tales, or the text's end.
local window = { tokenizer = tokenizer, special = true, context_length = 192, batch_size = 6, seed = 1 }
local long_enough, training, validation = pcall(function() return gpt.dataset(text, window):split(0.95) end)
if not long_enough then
  stop("%s: %s bytes that are %s tokens are too little to train on. Give a text of 4,000 tokens or more, some 10,000 "
    .. "bytes that are not the same over and over: make demo TEXT=file", file, grouped(#text),
    grouped(#tokenizer:encode(text, { special = true })))
end
if not file then validation = tales.sequences(160, 2, tokenizer) end

-- As many steps as this machine can make in the time; a few steps of a throw-away model measure that.
local function count_steps()
  local times = {}
  gpt.train {
    model = gpt.Model(config), data = training, steps = 5, progress = false,
    on_step = function(event) times[event.step] = event.seconds end,
  }
  return math.max(50, math.min(MOST_STEPS, SECONDS * 3 / (times[5] - times[2]) // 1 | 0))
end

heading "Training"
local steps = tonumber(os.getenv "DEMO_STEPS") or count_steps()
local result = gpt.train {
  model = model, data = training, validation = validation, steps = steps,
  lr = 3e-3, min_lr = 1e-4, warmup = 40, evaluate_every = math.max(1, steps // 6), evaluate_batches = 20,
  sample = { prompt = prompt, max_new_tokens = 40, temperature = 0.7, seed = 1 },
  sample_every = math.max(1, steps // 3),
}
print(result)
if floor then
  local loss, start = result.validation_loss, math.log(tokenizer.vocab_size)
  print(("loss over whole new tales %.4f, floor %.4f: %.1f%% of the way from knowing nothing (%.2f)"):format(loss,
    floor, 100 * (start - loss) / (start - floor), start))
end

-- Means of ten steps, so that the curve is smooth.
local function smooth(losses)
  local x, y = {}, {}
  for first = 1, #losses, 10 do
    local last, sum = math.min(first + 9, #losses), 0
    for i = first, last do sum = sum + losses[i] end
    x[#x + 1], y[#y + 1] = (first + last) / 2, sum / (last - first + 1)
  end
  return x, y
end

local function draw(path)
  local x, y = smooth(result.losses)
  local at, loss = {}, {}
  for i, event in ipairs(result.evaluations) do at[i], loss[i] = event.step, event.loss end
  local series = { { name = "training", x = x, y = y }, { name = "validation", x = at, y = loss, points = true } }
  if floor then
    series[3] = { name = "floor: the entropy of the tales", x = { 1, #result.losses }, y = { floor, floor } }
  end
  local options = { title = "Loss", x_label = "step", y_label = "nats per token", y_scale = "log", series = series }
  gpt.plot.line(path, options)
end

os.execute(("mkdir -p '%s'"):format((dir:gsub("'", "'\\''"))))
draw(dir .. "/loss.svg")
print("picture: " .. dir .. "/loss.svg")

heading "What it writes"
local options = { max_new_tokens = 150, temperature = 0.7, seed = 7 }
local written = { prompt }
io.write(prompt)
for piece in model:stream(prompt, options) do
  io.write(piece)
  io.flush()
  written[#written + 1] = piece
end
print()

heading "Saved and loaded"
model:save(dir .. "/model")
local again = gpt.load(dir .. "/model")
assert(again:generate(prompt, options) == table.concat(written), "the loaded model writes another text")
print(("%s/model is what Hugging Face's tools load too; loaded back, it writes the same text."):format(dir))
