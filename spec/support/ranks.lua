-- Small runs of gpt.train that are the same for any number of ranks, for the scripts of spec/ranks_spec.lua.
local gpt = require "gpt"

local ranks = {}

--- A model whose parameters are large enough to be cut into shares.
function ranks.model(more)
  gpt.seed(1)
  local config = {
    vocab_size = 50, context_length = 16, emb_dim = 64, n_heads = 2, n_layers = 2, drop_rate = 0.1, qkv_bias = true,
  }
  for key, value in pairs(more or {}) do config[key] = value end
  return gpt.Model(config)
end

function ranks.data()
  local ids = {}
  for i = 1, 1200 do ids[i] = (i * i * 7 + i // 3) % 50 end
  return gpt.dataset(ids, { context_length = 16, batch_size = 2 })
end

--- Trains, and returns the losses as a text: to 9 digits, by which any float is known.
function ranks.train(options)
  local model = options.model or ranks.model()
  local settings = { model = model, data = ranks.data(), steps = 3, accumulate = 3, progress = false }
  if not options.optimizer then settings.lr = 1e-3 end
  for key, value in pairs(options) do settings[key] = value end
  local result = gpt.train(settings)
  local texts = {}
  for i, loss in ipairs(result.losses) do texts[i] = ("%.9g"):format(loss) end
  return table.concat(texts, " "), result, model
end

--- A sum that tells whether two models have the same weights.
function ranks.weights(model)
  local core, sum = require "gpt.core", 0
  for _, tensor in model:parameters() do sum = (sum * 31 + core._digest(tensor)) & math.maxinteger end
  return sum
end

--- An optimizer of a script's own.
function ranks.own_optimizer(model, lr)
  local optimizer = { lr = lr, steps = 0 }
  function optimizer:step()
    self.steps = self.steps + 1
    gpt.no_grad(function()
      for _, p in model:parameters() do
        if p.grad then p:copy(p - p.grad * self.lr) end
      end
    end)
  end
  function optimizer.zero_grad()
    for _, p in model:parameters() do p.grad = nil end
  end
  function optimizer:state() return { step = self.steps, lr = self.lr } end
  function optimizer:load_state(state) self.steps = state.step end
  return optimizer
end

--- The runs, by name.
ranks.runs = {
  plain = function(world) return ranks.train { world = world } end,
  tied = function(world)
    return ranks.train { world = world, model = ranks.model { tie_weights = true }, warmup = 5 }
  end,
  recompute = function(world) return ranks.train { world = world, recompute = true } end,
  frozen = function(world)
    local model = ranks.model()
    model.token_embedding:freeze()
    model.blocks[1]:freeze()
    return ranks.train { world = world, model = model, clip = false }
  end,
  lora = function(world)
    local model = ranks.model()
    model:to "q8_0"
    gpt.lora(model, { rank = 4, targets = "all", dropout = 0.1 })
    return ranks.train { world = world, model = model, lr = 1e-2 }
  end,
  bf16 = function(world)
    gpt.set_precision "bf16"
    local losses, result, model = ranks.train { world = world }
    gpt.set_precision "f32"
    return losses, result, model
  end,
  own_optimizer = function(world)
    local model = ranks.model()
    return ranks.train { world = world, model = model, optimizer = ranks.own_optimizer(model, 0.5) }
  end,
  sgd = function(world)
    local model = ranks.model()
    local optimizer = gpt.optim.SGD(model, { lr = 0.3, momentum = 0.9 })
    return ranks.train { world = world, model = model, optimizer = optimizer }
  end,
  muon = function(world) return ranks.train { world = world, optimizer = "muon", schedule = "linear", steps = 3 } end,
  -- a parameter without gradient on any rank stays as it is; one with a gradient on some is stepped on all
  headless = function(world)
    local model = ranks.model()
    local before = model.head.weight:clone()
    local losses, result = ranks.train { world = world, model = model, loss = function(_, ids)
      return model:features(ids):pow(2):mean()
    end }
    assert((model.head.weight - before):abs():max():item() == 0, "the head has changed")
    return losses, result, model
  end,
  partly = function(world)
    return ranks.train { world = world, loss = function(model, ids, targets)
      if ids[1][1]:item() % 2 == 0 then return model:loss(ids, targets) end
      return model:features(ids):pow(2):mean()
    end }
  end,
  llama = function(world)
    local model = ranks.model { family = "llama", n_kv_heads = 1, hidden_dim = 96 }
    return ranks.train { world = world, model = model, data = function(number)
      gpt.seed(number)
      local ids = gpt.randint(0, 50, { 2, number % 3 + 4 })
      local targets = ids:clone()
      if number == 2 then targets:fill(-1) else targets:select(2, 1):fill(-1) end
      return ids, targets
    end }
  end,
}

return ranks
