-- The models and runs of the fuzzer's targets, as small as can be: inputs are derived from their files.
local gpt = require "gpt"
local json = require "gpt.support.json"

local tiny = {}

--- A Llama of one block.
function tiny.llama()
  gpt.seed(1)
  return gpt.Model(gpt.config("smollm2-135M", { vocab_size = 8, context_length = 16, emb_dim = 4, n_heads = 2,
    n_kv_heads = 1, n_layers = 1, hidden_dim = 4 })):eval()
end

--- A GPT-2 of one block.
function tiny.gpt2()
  gpt.seed(2)
  return gpt.Model(gpt.config("gpt2-small", { vocab_size = 8, context_length = 4, emb_dim = 2, n_heads = 1,
    n_layers = 1, drop_rate = 0, hidden_dim = 2 })):eval()
end

--- A layer with parameters.
function tiny.layer()
  gpt.seed(3)
  return gpt.nn.Sequential { gpt.nn.Linear(2, 3), gpt.nn.LayerNorm(3) }
end

--- The files of a model but its config, in a directory.
function tiny.write_weights(dir, model)
  model:save(dir)
  os.remove(dir .. "/config.json")
end

--- A model in two shards with their index.
function tiny.write_shards(dir, model)
  model:save(dir)
  local file = gpt.read_safetensors(dir .. "/model.safetensors")
  local shards, names, map = { {}, {} }, {}, {}
  for name in pairs(file.tensors) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local shard = i <= 3 and 1 or 2
    shards[shard][name], map[name] = file.tensors[name], ("model-%05d-of-00002.safetensors"):format(shard)
  end
  for i, tensors in ipairs(shards) do gpt.write_safetensors(("%s/model-%05d-of-00002.safetensors"):format(dir, i), tensors) end
  os.remove(dir .. "/model.safetensors")
  local out = assert(io.open(dir .. "/model.safetensors.index.json", "w"))
  out:write(json.encode({ metadata = { total_size = 4 }, weight_map = map }, 2))
  out:close()
end

--- A tokenizer of 280 tokens.
function tiny.tokenizer()
  return gpt.train_tokenizer(("The cat sat on the mat, and the dog sat on the log. "):rep(4), { vocab_size = 280 })
end

--- Two steps of training with checkpoints in a directory.
function tiny.train(dir, steps, resume)
  gpt.seed(4)
  local data = gpt.dataset({ 0, 1, 2, 3, 4, 5, 6, 7, 0, 1 }, { context_length = 4, batch_size = 1 })
  return gpt.train { model = tiny.gpt2(), data = data, steps = steps, checkpoints = dir, resume = resume,
    checkpoint_every = steps, progress = false }
end

return tiny
