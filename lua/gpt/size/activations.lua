-- What the forward pass of a training step keeps for the backward pass: a line for each tensor that an op saves, in
-- float32 numbers per token.

local function sum(numbers)
  local total = 0
  for _, n in ipairs(numbers) do total = total + n end
  return total
end

-- Beside its input: a layer norm's mean and deviation, an RMS norm's scale.
local function norm_numbers(c) return c.norm == "rms_norm" and 1 or 2 end

-- A norm behind attention or feed-forward; its own output is added at once, and not kept.
local function post_norm(c) return c.post_norms and c.emb_dim + norm_numbers(c) or 0 end

-- Norms of heads read copies of queries and keys, each with a scale per head, while values stay where they lie beside
-- them; what they return, turned or not, attention keeps.
local function head_norms(c, queries, keys)
  return c.qk_norm and 2 * (queries + keys) + c.n_heads + c.n_kv_heads or 0
end

local function attention(c)
  local queries, keys = c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim
  return sum {
    queries + 2 * keys, -- queries, keys and values, turned where positions are rotary
    head_norms(c, queries, keys),
    queries,            -- what the heads return, which the output projection reads
    c.n_heads,          -- a number per head, from which attention's weights are computed again
  }
end

-- The numbers that an activation and, in a gated layer, a product keep.
local function feed_forward(c)
  local hidden = c.hidden_dim
  if c.gated then return 3 * hidden end -- gate, expand, and their product, which project reads
  return sum {
    c.activation == "relu" and 0 or hidden, -- GELU's input; ReLU needs its output only
    hidden,                                 -- the activation's output, which project reads
  }
end

local function block(c)
  local dim, norm = c.emb_dim, norm_numbers(c)
  return sum {
    dim, norm, -- norm1's input
    dim,       -- norm1's output, which query, key and value read
    attention(c),
    post_norm(c),
    dim, norm, -- norm2's input, the sum after the first shortcut
    dim,       -- norm2's output, which gate and expand read
    feed_forward(c),
    post_norm(c),
  }
end

local function around_blocks(c)
  return sum {
    c.emb_dim, norm_numbers(c), -- final_norm's input
    c.emb_dim,                  -- the gradient of its output, which the loss computes at once, in place of the output
  }
end

-- A layer's cosines and sines of rotary positions, which all sequences of a batch share.
local function angles(c) return c.positions == "rotary" and (c.rope_dims or c.head_dim) or 0 end

--- Numbers in all. Shortcuts and dropout keep nothing (dropout's mask is drawn again), and the loss holds no more than
-- a slice of the logits, which is gone when it returns.
-- @tparam table c a config with every key
-- @int batch_size
-- @int tokens
-- @bool recompute blocks keep their inputs, and one at a time is run again
return function(c, batch_size, tokens, recompute)
  local blocks = recompute and c.n_layers * c.emb_dim + block(c) - c.emb_dim or c.n_layers * block(c)
  local turned = recompute and 1 or c.n_layers
  return 1.0 * batch_size * tokens * (blocks + around_blocks(c)) + tokens * turned * angles(c)
end
