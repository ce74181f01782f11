-- The parts of a config's model.
local measure = require("gpt.size.part").measure

local of_config = {}

-- How many tokens a token of block i sees at most.
local function seen(c, i)
  local windowed = c.layer_types and c.layer_types[i] == "sliding_attention"
  return windowed and math.min(c.sliding_window, c.context_length) or c.context_length
end

-- The same for blocks first to last, added up.
local function seen_by_all(c, first, last)
  if not c.layer_types then return (last - first + 1) * c.context_length end
  local sum = 0
  for i = first, last do sum = sum + seen(c, i) end
  return sum
end

local function measure_attention(c, first, last)
  local dim, width, kv_width = c.emb_dim, c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim
  local count = last - first + 1
  local matrices = { { width, dim }, { kv_width, dim }, { kv_width, dim }, { dim, width } }
  local biases = (c.qkv_bias and width + 2 * kv_width or 0) + (c.bias and dim or 0)
  local projections = 2 * (2 * width + 2 * kv_width) * dim
  local weighing = 4 * width * seen_by_all(c, first, last) -- scores and their weighted sum
  local part = measure("attention", count, matrices, biases + (c.qk_norm and 2 * c.head_dim or 0),
    count * projections + weighing)
  part.kv_cache_bytes = 4 * 2 * count * c.context_length * kv_width
  return part
end

local function measure_feed_forward(c, count)
  local dim, hidden, expanding = c.emb_dim, c.hidden_dim, c.gated and 2 or 1
  local matrices = { { hidden, dim }, { dim, hidden } }
  if c.gated then matrices[3] = { hidden, dim } end
  local biases = c.bias and expanding * hidden + dim or 0
  return measure("feed_forward", count, matrices, biases, count * 2 * (expanding + 1) * hidden * dim)
end

-- Numbers of one norm.
local function norm_width(c) return c.norm == "rms_norm" and c.emb_dim or 2 * c.emb_dim end

local function measure_norms(c, count)
  return measure("norms", count, {}, (c.post_norms and 4 or 2) * norm_width(c), 0)
end

local function blocks_parts(c, first, last)
  local count = last - first + 1
  return { measure_attention(c, first, last), measure_feed_forward(c, count), measure_norms(c, count) }
end

--- The parts of block i.
function of_config.block_parts(c, i) return blocks_parts(c, i, i) end

--- The parts of the whole model, in order.
-- @tparam table c a config with every key
function of_config.parts(c)
  local vocabulary = { c.vocab_size, c.emb_dim }
  local parts = { measure("token_embedding", 1, { vocabulary }, 0, 0) }
  if c.positions == "learned" then
    parts[2] = measure("position_embedding", 1, { { c.context_length, c.emb_dim } }, 0, 0)
  end
  table.move(blocks_parts(c, 1, c.n_layers), 1, 3, #parts + 1, parts)
  parts[#parts + 1] = measure("final_norm", 1, {}, norm_width(c), 0)
  parts[#parts + 1] = measure("head", 1, c.tie_weights and {} or { vocabulary }, 0, 2 * c.vocab_size * c.emb_dim)
  return parts
end

return of_config
