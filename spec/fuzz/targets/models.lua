-- Files of models: weights, configs, adapters, checkpoints.
local gpt = require "gpt"
local json = require "gpt.support.json"
local tiny = require "spec.fuzz.tiny"

local models = {}

-- Reads every number, so that the sanitizers see where they lie.
local function touch(tensors)
  for _, tensor in pairs(tensors) do
    if tensor:numel() > 0 then tensor:bytes() end
  end
end

models.safetensors = {
  file = "input.safetensors",
  make = function()
    return function(path) touch(gpt.read_safetensors(path).tensors) end
  end,
}

-- numpy's arrays.
models.npy = {
  file = "input.npy",
  make = function()
    return function(path) touch { gpt.read_npy(path) } end
  end,
}

models.npz = {
  file = "input.npz",
  make = function()
    return function(path) touch(gpt.read_npz(path)) end
  end,
}

-- A model that loads runs, and what it says of itself can be shown.
local function use(model)
  tostring(model)
  gpt.no_grad(function()
    local logits = model(gpt.tensor { { 0, 1 } })
    if logits:size(-1) ~= model.config.vocab_size then error { found = "logits of another size" } end
  end)
end

models.gguf_model = {
  file = "input.gguf",
  make = function()
    return function(path) use((gpt.load(path))) end
  end,
}

-- The weights are ours, and stay.
models.config = {
  parts = { "config.json", "generation_config.json" },
  make = function(dir)
    tiny.write_weights(dir, tiny.llama())
    return function() use((gpt.load(dir, { tokenizer = false, strict = false }))) end
  end,
}

models.index = {
  parts = { "model.safetensors.index.json" },
  make = function(dir)
    tiny.write_shards(dir, tiny.gpt2())
    return function() use((gpt.load(dir, { tokenizer = false }))) end
  end,
}

models.parameters = {
  file = "input.safetensors",
  make = function()
    local layer = tiny.layer()
    return function(path)
      layer:load_parameters(path, { strict = false })
      layer:load_parameters(path)
    end
  end,
}

models.adapter = {
  parts = { "adapter_config.json", "adapter_model.safetensors" },
  make = function(dir)
    return function() use(gpt.load_adapter(tiny.llama(), dir)) end
  end,
}

-- A run that is over goes on for no step.
models.checkpoint = {
  parts = { "checkpoints.json", "step-00000002.safetensors", "best.safetensors" },
  make = function(dir)
    return function() tiny.train(dir, 2, true) end
  end,
}

models.random_state = {
  make = function()
    local before = gpt.random_state()
    return function(text)
      local ok, problem = pcall(gpt.random_state, text)
      gpt.randn(3)
      gpt.random_state(before)
      if not ok then error(problem, 0) end
    end
  end,
}

-- What is decoded is encoded and decoded to the same.
models.json_values = {
  make = function()
    return function(text)
      local value = json.decode(text, "text")
      local again = json.encode(value)
      if json.encode(json.decode(again, "again")) ~= again then error { found = "JSON that changes: " .. again } end
    end
  end,
}

models.gguf_values = {
  file = "input.gguf",
  make = function()
    return function(path)
      local file = gpt.read_gguf(path)
      touch(file.tensors)
      tostring(file)
    end
  end,
}

return models
