-- What several Lua states do at once in one process, each in a thread of its own (spec/support/states.c): every kind of
-- work that touches what states share, the thread pool, the kernels, files and the weights mapped from them.
-- `make tsan` runs it under the thread sanitizer, and a spec as it stands: each state has to find what it would find
-- alone.
-- luacheck: read_globals meet state
local gpt = require "gpt"

local dir = os.getenv "LUAGPT_TOGETHER" -- a directory that is there
local models = dofile "spec/support/together_models.lua"

-- Its embeddings are large enough that a process holds what several states read of them once.
local CONFIG = {
  vocab_size = 400, context_length = 32, emb_dim = 48, n_heads = 4, n_layers = 2, drop_rate = 0.1, qkv_bias = true,
}

local function products()
  gpt.seed(1)
  local a, b = gpt.randn(96, 700), gpt.randn(700, 500)
  local few, wide = gpt.randn(2, 700), gpt.randn(60000)
  return (a:matmul(b)):bytes() .. few:matmul(b):bytes() .. wide:exp():sum():bytes() .. a:softmax(1):bytes()
end

local function train(model, data)
  gpt.seed(2)
  return table.concat(gpt.train({ model = model, data = data, steps = 3, lr = 1e-2, progress = false }).losses, " ")
end

local function tokens_of(name)
  return gpt.dataset(dir .. name, { context_length = 24, batch_size = 4 })
end

local function generate(model)
  model:eval()
  local options = { max_new_tokens = 12, temperature = 0.9, top_k = 40, seed = 3 }
  local lists = model:generate({ { 1, 2, 3 }, { 4, 5, 6, 7, 8 } }, options)
  return table.concat(lists[1], " ") .. " / " .. table.concat(lists[2], " ")
end

-- Generates with a model that the other states map too, then writes into its weights.
local function load_and_tune(name)
  local model = gpt.load(dir .. name)
  local before = generate(model)
  return before .. train(model, tokens_of "/tokens.u16") .. generate(model)
end

local function tokenize()
  local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
  return table.concat(tokenizer:encode(("The mouse, 27 of them.\n"):rep(40)), " ")
end

local work = {
  products,
  function() gpt.seed(4) return train(gpt.Model(CONFIG), tokens_of "/tokens.u16") end,
  function() return load_and_tune "/model" end,
  function() return load_and_tune "/unaligned" end,
  tokenize,
}
table.move(models.works, 1, #models.works, #work + 1, work)

-- All kinds of work in an order of each state's own, while the number of threads changes.
local function run_all()
  local results = {}
  for i = 1, #work do
    gpt.set_threads((state + i) % 3 + 1)
    local n = (state + i) % #work + 1
    results[n] = work[n]()
  end
  return results
end

local function write(name, bytes)
  local file <close> = assert(io.open(dir .. name, "wb"))
  assert(file:write(bytes))
end

-- The same model in a file whose tensors do not lie at multiples of 4 bytes.
local function write_unaligned(model)
  model:save(dir .. "/unaligned")
  local file <close> = assert(io.open(dir .. "/unaligned/model.safetensors", "rb"))
  local bytes = file:read "a"
  local size = string.unpack("<I8", bytes)
  write("/unaligned/model.safetensors", string.pack("<I8", size + 1) .. bytes:sub(9, 8 + size) .. " "
    .. bytes:sub(9 + size))
end

local function write_files()
  local ids = {}
  for i = 1, 400 do ids[i] = i * 7 % 300 end
  gpt.write_tokens(dir .. "/tokens.u16", ids)
  local model = gpt.Model(CONFIG)
  model:save(dir .. "/model")
  write_unaligned(model)
  models.write()
end

meet() -- now all need the kernels, which the first one chooses
local first = products()
assert(first == products(), "the same product twice")
if state == 1 then
  write_files()
  os.execute "sleep 0.15" -- until the files are settled, and states share what they read of them
end
meet()
local expected
for round = 1, 3 do
  local results = run_all()
  for i, result in ipairs(results) do
    assert(round == 1 or result == expected[i], ("work %d came out in another way in round %d"):format(i, round))
  end
  expected = results
end
assert(first == expected[1], "products beside other work differ")
meet()
gpt.set_threads(1)
io.write(table.concat(expected, "\n", 2) .. "\n")
