-- Works of spec/support/together.lua on models whose weights all states map from the same GGUF files, with what reads
-- and writes beside them: sessions, grammars, adapters, hooks, optimizers; and states beside, whose memory runs out.
-- luacheck: read_globals beside
local gpt = require "gpt"

local dir = os.getenv "LUAGPT_TOGETHER"
local TOKENIZER = "spec/fixtures/tokenizer"

-- Its embeddings take 68,000 bytes as q8_0, enough for a process to hold what is read of them once.
local CONFIG = {
  vocab_size = 400, context_length = 32, emb_dim = 160, n_heads = 4, n_layers = 1, drop_rate = 0.1, qkv_bias = true,
}
local IDS = { 1, 2, 3, 4, 5 }

local models = {}

--- Writes the files that the works read.
function models.write()
  gpt.seed(5)
  local model = gpt.Model(CONFIG)
  for _, dtype in ipairs { "q8_0", "q4_0" } do model:save(("%s/%s.gguf"):format(dir, dtype), { dtype = dtype }) end
end

local function open(dtype, options)
  gpt.seed(6)
  return gpt.load(("%s/%s.gguf"):format(dir, dtype), options):eval()
end

-- Sessions that go on from what others hold, alone and in one pass, with keys and values of both kinds.
local function converse(dtype, options)
  local model, texts = open(dtype, options), {}
  for i, cache_dtype in ipairs { "f32", "f16" } do
    local session = model:session { cache_dtype = cache_dtype, seed = 7 }
    session:feed(IDS)
    local fork = session:fork():rewind(3)
    local logits = gpt.feed({ session, fork }, { { 6, 7 }, { 8 } })
    texts[i] = logits:bytes() .. table.concat(fork:generate { max_new_tokens = 4, temperature = 1, seed = 8 }, " ")
    session:rewind(1)
    texts[i] = texts[i] .. session:feed({ 9 }):bytes() .. table.concat(session:ids(), " ")
  end
  return table.concat(texts)
end

-- A grammar over ids that a tokenizer of this state's own makes texts of.
local function follow_grammar()
  local tokenizer, model = gpt.tokenizer(TOKENIZER), open "q8_0"
  local options = { tokenizer = tokenizer, max_new_tokens = 6, temperature = 1, seed = 9, grammar = { regex = "[a-c]{3,9}" } }
  local ids = model:generate(IDS, options)
  assert(tokenizer:decode(table.move(ids, #IDS + 1, #ids, 1, {})):find "^[a-c]+$", "the grammar was not followed")
  return table.concat(ids, " ")
end

-- A hook whose value goes on in the place of a layer's output, and what lies before the head.
local function look_inside()
  local model = open "q4_0"
  local halved = model:run(IDS, { ["blocks.1"] = function(output) return output * 0.5 end })
  local features = model:features(IDS)
  assert(halved:bytes() ~= model(IDS):bytes(), "the hook changed nothing")
  return halved:bytes() .. features:bytes()
end

local function train(model, options)
  local given = { model = model, data = gpt.dataset(dir .. "/tokens.u16", { context_length = 16, batch_size = 2 }),
    steps = 2, lr = 1e-2, progress = false }
  for name, value in pairs(options) do given[name] = value end
  return table.concat(gpt.train(given).losses, " ")
end

-- Adapters learn over weights that other states read.
local function adapt()
  local model = gpt.lora(open "q8_0", { rank = 2, targets = { "query", "project" } })
  local losses = train(model, { moment_dtype = "bf16", recompute = true })
  return losses .. model:eval()(IDS):bytes()
end

local function optimize()
  local model = gpt.Model(CONFIG)
  local first = train(model, { recompute = true, moment_dtype = "bf16" })
  return first .. train(model, { optimizer = "muon", moment_dtype = "q8" }) .. model:eval()(IDS):bytes()
end

-- What a state beside does: it works; then its memory runs out, in Lua's steps and in the binding's; then it works again.
local BESIDE = [[
  local gpt = require "gpt"
  local path = ...
  local model = gpt.load(path):eval()
  local logits = model { 1, 2, 3 }:bytes()
  local function again()
    local session = model:session()
    session:feed { 1, 2, 3 }
    assert(model { 1, 2, 3 }:bytes() == logits, "other logits")
  end
  again()
  for bytes = 1000, 64000, 7000 do
    room(bytes)
    local kept = {}
    local ok, problem = pcall(function()
      while true do kept[#kept + 1] = model { 1, 2, 3 }:totable() end
    end)
    kept = nil
    room()
    assert(not ok and tostring(problem):find("not enough memory", 1, true), problem)
    again()
  end
]]

-- Two states that end when they may, the other one going on, and some that have too little memory from the beginning:
-- that is an error of theirs, and nobody else's.
local function run_beside()
  local code = ("local function work(...) %s end work(%q)"):format(BESIDE, dir .. "/q8_0.gguf")
  local joins = { beside(code), beside(code) }
  for _, kilobytes in ipairs { 1, 20, 150, 400, 700, 1000 } do
    local problem = beside(code, kilobytes << 10)()
    assert(problem and problem:find("not enough memory", 1, true), problem or "a state took more memory than it may")
  end
  for i = 2, 1, -1 do
    local problem = joins[i]()
    assert(not problem, problem)
  end
  return "beside"
end

models.works = {
  function() return converse "q8_0" end,
  function() return converse("q8_0", { map = false }) end,
  function() return converse "q4_0" end,
  follow_grammar, look_inside, adapt, optimize, run_beside,
}

return models
