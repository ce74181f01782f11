-- What the forward pass of a training step keeps for the backward pass: a line for each tensor that an op saves, in
-- float32 numbers per token.

local function sum(numbers)
  local total = 0
  for _, n in ipairs(numbers) do total = total + n end
  return total
end

local function block(c)
  local dim, hidden = c.emb_dim, c.hidden_dim
  return sum {
    dim,                                    -- norm1's input
    2,                                      -- norm1's mean and deviation
    dim,                                    -- norm1's output, which query, key and value read
    3 * dim,                                -- query, key and value
    dim,                                    -- what the heads return, which attention's output projection reads
    c.n_heads,                              -- a number per head, from which attention's weights are computed again
    dim,                                    -- norm2's input, the sum after the first shortcut
    2,                                      -- norm2's mean and deviation
    dim,                                    -- norm2's output, which expand reads
    c.activation == "relu" and 0 or hidden, -- GELU's input; ReLU needs its output only
    hidden,                                 -- the activation's output, which project reads
  }
end

local function around_blocks(c)
  return sum {
    c.emb_dim, -- final_norm's input
    2,         -- its mean and deviation
    c.emb_dim, -- the gradient of its output, which the loss computes at once, in place of the output
  }
end

--- Numbers per token. Shortcuts and dropout keep nothing (dropout's mask is drawn again), and the loss holds no more
-- than a slice of the logits, which is gone when it returns.
return function(c)
  return c.n_layers * block(c) + around_blocks(c)
end
