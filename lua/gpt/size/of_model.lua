-- The parts of a model that is there, measured at its layers: whatever stands in it.
local core = require "gpt.core"
local part = require "gpt.size.part"

local of_model = {}

-- A layer's own parameters.
local function each_own(layer, fn)
  for path, tensor in layer:parameters() do
    if not path:find(".", 1, true) then fn(tensor) end
  end
end

-- Numbers that a projection of an attention makes per token.
local function width_of(projection, config)
  return projection.kind == "Linear" and projection.weight:shape()[1] or config.emb_dim
end

-- What one layer has and does by itself. A matrix is taken to be multiplied once per token, but for an embedding's.
local function add_layer(sum, layer, config, counted)
  local kind = layer.kind
  each_own(layer, function(tensor)
    local shape = tensor:shape()
    local identity = core._identity(tensor)
    local fresh = not counted[identity]
    counted[identity] = true
    if #shape == 2 and kind ~= "Embedding" then sum.operations = sum.operations + 2 * tensor:numel() end
    if #shape == 2 and fresh then table.insert(sum.matrices, { shape[1], shape[2] }) end
    if #shape ~= 2 and fresh then sum.vectors = sum.vectors + tensor:numel() end
  end)
  if kind ~= "MultiHeadAttention" then return end
  local tokens = config.context_length
  local seen = math.min(tokens, core._attention_window(layer) or tokens)
  sum.operations = sum.operations + 4 * seen * width_of(layer.query, config) -- scores and their weighted sum
  sum.kv_cache_bytes = sum.kv_cache_bytes + 4 * tokens * (width_of(layer.key, config) + width_of(layer.value, config))
end

--- One part made of several layers. `counted` holds the tensors (their identities) that another part has counted
--- already: a shared one counts once, while what is done with it counts in every layer of the part.
local function measure(name, layers, config, counted)
  local sum = { matrices = {}, vectors = 0, operations = 0, kv_cache_bytes = 0 }
  for _, layer in ipairs(layers) do
    layer:apply(function(each) add_layer(sum, each, config, counted) end)
  end
  local self = part.measure(name, 1, sum.matrices, sum.vectors, sum.operations)
  self.count, self.kv_cache_bytes = #layers, sum.kv_cache_bytes
  return self
end

-- The layers of that name in every block that has one.
local function in_blocks(blocks, ...)
  local layers = {}
  for _, name in ipairs { ... } do
    for _, block in ipairs(blocks) do
      for child, layer in block:children() do
        if child == name then table.insert(layers, layer) end
      end
    end
  end
  return layers
end

local function norms_of(blocks) return in_blocks(blocks, "norm1", "post_norm1", "norm2", "post_norm2") end

local function blocks_of(model)
  if model.blocks.kind ~= "List" then return { model.blocks } end
  local blocks = {}
  for i = 1, #model.blocks do blocks[i] = model.blocks[i] end
  return blocks
end

local function all_of_kind(layers, kind)
  for _, layer in ipairs(layers) do
    if layer.kind ~= kind then return false end
  end
  return true
end

local function block_parts(blocks, config, counted)
  if not all_of_kind(blocks, "TransformerBlock") then return { measure("blocks", blocks, config, counted) } end
  local norms = measure("norms", norms_of(blocks), config, counted)
  norms.count = #blocks
  return {
    measure("attention", in_blocks(blocks, "attention"), config, counted),
    measure("feed_forward", in_blocks(blocks, "feed_forward"), config, counted), norms,
  }
end

--- The parts of a model, in order.
function of_model.parts(model, config)
  local counted, parts = {}, {}
  for name, child in model:children() do
    if name == "blocks" then table.move(block_parts(blocks_of(model), config, counted), 1, 3, #parts + 1, parts)
    else table.insert(parts, measure(name, { child }, config, counted)) end
  end
  return parts
end

--- The parts of one block, the first.
function of_model.block_parts(model, config)
  local first = blocks_of(model)[1]
  return first and block_parts({ first }, config, {}) or {}
end

--- Is every part of the kind that a plain model of the config has there?
function of_model.is_plain(model, config)
  local blocks, norm = blocks_of(model), config.norm == "rms_norm" and "RMSNorm" or "LayerNorm"
  if not (model.blocks.kind == "List" and all_of_kind(blocks, "TransformerBlock")) then return false end
  return all_of_kind(in_blocks(blocks, "attention"), "MultiHeadAttention")
    and all_of_kind(in_blocks(blocks, "feed_forward"), "FeedForward")
    and all_of_kind(norms_of(blocks), norm) and model.final_norm.kind == norm
end

-- The weights of embedding and head, where the head could share the embedding's.
local function matrices_of(model)
  local embedding, head = model.token_embedding, model.head
  if embedding.kind ~= "Embedding" or head.kind ~= "Linear" or head.bias then return end
  local a, b = embedding.weight, head.weight
  if a:shape()[1] == b:shape()[1] and a:shape()[2] == b:shape()[2] then return a, b end
end

--- Does the head share the token embedding's matrix?
function of_model.is_tied(model)
  local embedding, head = matrices_of(model)
  return head ~= nil and core._identity(embedding) == core._identity(head)
end

--- Numbers of a head that could share it and does not; else 0.
function of_model.untied_head(model)
  local _, head = matrices_of(model)
  return head and not of_model.is_tied(model) and head:numel() or 0
end

return of_model
