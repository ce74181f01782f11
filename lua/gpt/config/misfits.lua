-- Whether the values of a config fit together.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local defaults = require "gpt.config.defaults"
local neutral = require "gpt.support.neutral"

local LARGEST_COUNT = 2 ^ 53 -- counts up to here are exact in floats and, times 16 bytes, in integers
local MOST_ROPE_DIMS = 1024

--- The nearest divisor of n from start on, up or down; nil where none is near.
local function divisor(n, start, step)
  for d = start, start + 1000 * step, step do
    if d < 1 or d > n then return nil end
    if n % d == 0 then return d end
  end
end

--- `a or b`, the one that is there, or nothing.
local function either(a, b)
  return a and b and ("%d or %d"):format(a, b) or tostring(a or b)
end

--- The multiples of n_heads around emb_dim, and the numbers of heads near n_heads that divide it.
local function fitting(emb_dim, n_heads)
  local below = emb_dim - emb_dim % n_heads
  local dims = either(below > 0 and below or nil, below + n_heads)
  return dims, either(divisor(emb_dim, math.min(n_heads, emb_dim), -1) or 1, divisor(emb_dim, n_heads, 1))
end

local function find_heads(given, c, add)
  local emb_dim, n_heads, n_kv_heads = c.emb_dim, c.n_heads, c.n_kv_heads
  if given.head_dim == nil and emb_dim % n_heads ~= 0 then
    add("emb_dim: %d is not divisible by n_heads (%d); emb_dim %s would fit, or n_heads %s", emb_dim, n_heads,
      fitting(emb_dim, n_heads))
  end
  if n_heads % n_kv_heads ~= 0 then
    add("n_kv_heads: n_heads (%d) is not divisible by %d; n_kv_heads %s would fit", n_heads, n_kv_heads,
      either(divisor(n_heads, math.min(n_kv_heads, n_heads), -1) or 1, divisor(n_heads, n_kv_heads, 1)))
  end
end

local function find_rope_dims(given, c, add)
  local name = c.rope_dims and "rope_dims" or "head_dim"
  local dims = c[name]
  local shown = (name == "rope_dims" or given.head_dim) and name or "head_dim, emb_dim / n_heads"
  if dims % 2 ~= 0 then add("%s: %d is odd; rotary positions turn pairs of numbers", shown, dims) end
  if dims > c.head_dim then add("%s: at most head_dim (%d) expected, got %d", name, c.head_dim, dims) end
  if dims > MOST_ROPE_DIMS then
    add("%s: rotary positions turn at most %d numbers, got %d", shown, MOST_ROPE_DIMS, dims)
  end
  return dims
end

-- The binding knows the scalings; what it raises comes behind the user's line.
local function find_scaling(c, dims, add)
  local fits, message = attempt(core._check_rope_scaling, c, dims)
  if not fits then add("%s", message:match "config: (rope_scaling:.*)" or message) end
end

local function find_rope(given, c, add)
  if c.positions == "rotary" then return find_scaling(c, find_rope_dims(given, c, add), add) end
  for _, name in ipairs { "rope_base", "rope_base_local", "rope_dims", "rope_scaling" } do
    if given[name] then add('%s: positions are "%s"; with positions = "rotary" it has a meaning', name, c.positions) end
  end
end

local function has_windowed(types)
  for _, kind in ipairs(types) do
    if kind == "sliding_attention" then return true end
  end
  return false
end

local function find_layer_types(c, add)
  local types, most = c.layer_types, defaults.MOST_TYPED
  if c.sliding_window and c.n_layers > most then
    add("n_layers: at most %d layers expected where some have a window, got %d", most, c.n_layers)
  end
  if not types then return end
  if #types ~= c.n_layers then
    add("layer_types: %d entries expected, one for each of n_layers, got %d", c.n_layers, #types)
  end
  if has_windowed(types) and not c.sliding_window then
    add "sliding_window: missing; layer_types has \"sliding_attention\""
  end
end

local function find_giants(c, add)
  local width, kv_width = 1.0 * c.n_heads * c.head_dim, 1.0 * c.n_kv_heads * c.head_dim
  local block = c.emb_dim * (2 * width + 2 * kv_width + (c.gated and 3.0 or 2.0) * c.hidden_dim)
  local parameters = (2.0 * c.vocab_size + c.context_length) * c.emb_dim + c.n_layers * block
  local cache = 2.0 * c.n_layers * c.context_length * kv_width
  if parameters > LARGEST_COUNT then
    add(neutral.format("too large together: about %.1e parameters; at most 2^53 can be counted", parameters))
  elseif cache > LARGEST_COUNT then
    add(neutral.format("too large together: about %.1e numbers in the KV cache; at most 2^53 can be counted", cache))
  end
end

-- Adds to problems what does not fit.
-- @tparam table given the keys that were given
-- @tparam table config the same with every key
return function(given, config, problems)
  local function add(format, ...) problems[#problems + 1] = select("#", ...) > 0 and format:format(...) or format end
  find_heads(given, config, add)
  find_rope(given, config, add)
  find_layer_types(config, add)
  find_giants(config, add)
end
