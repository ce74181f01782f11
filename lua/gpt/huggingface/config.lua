-- config.json of GPT-2, as Hugging Face's tools write it, to a config table and back.
local core = require "gpt.core"
local json = require "gpt.support.json"
local validate = require "gpt.support.validate"
local neutral = require "gpt.support.neutral"

local model_config = {}

local MOST_SIZE = (1 << 31) - 1
local MOST_LAYERS = 1000

-- What a key means where it is absent or null, and other names that it goes by.
local DEFAULTS = {
  vocab_size = 50257, n_positions = 1024, n_embd = 768, n_layer = 12, n_head = 12, activation_function = "gelu_new",
  resid_pdrop = 0.1, embd_pdrop = 0.1, attn_pdrop = 0.1, layer_norm_epsilon = 1e-5, tie_word_embeddings = true,
  scale_attn_weights = true, scale_attn_by_inverse_layer_idx = false,
  add_cross_attention = false,
}
local OTHER_NAMES = {
  n_positions = { "max_position_embeddings", "n_ctx" }, n_embd = { "hidden_size" }, n_layer = { "num_hidden_layers" },
  n_head = { "num_attention_heads" },
}

-- What changes the arithmetic, and the only value that is implemented. (reorder_and_upcast_attn does not: with it
-- attention computes in float32, as it does here.)
local FIXED = {
  { "scale_attn_weights", true }, { "scale_attn_by_inverse_layer_idx", false }, { "add_cross_attention", false },
}

local ACTIVATIONS = {
  gelu_new = "gelu", gelu_pytorch_tanh = "gelu", gelu_fast = "gelu", gelu = "gelu_exact", gelu_python = "gelu_exact",
  relu = "relu",
}
local ACTIVATION_NAMES = { gelu = "gelu_new", gelu_exact = "gelu", relu = "relu" }

local Reader = {}
Reader.__index = Reader

function Reader:refuse(key, expected, value)
  core._raise(("%s: %s: %s expected, got %s"):format(self.path, key, expected, validate.show(value)))
end

-- A key's value, and the name it goes by here.
function Reader:get(key)
  local names = { key, table.unpack(OTHER_NAMES[key] or {}) }
  for _, name in ipairs(names) do
    local value = self.values[name]
    if value ~= nil and value ~= json.null then return value, name end
  end
  return DEFAULTS[key], key
end

function Reader:size(key, most)
  local value, name = self:get(key)
  if value == nil then return nil end
  local whole = math.type(value) and math.tointeger(value)
  if not whole or whole < 1 or whole > (most or MOST_SIZE) then
    self:refuse(name, ("a whole number from 1 to %d"):format(most or MOST_SIZE), value)
  end
  return whole
end

function Reader:rate(key)
  local value, name = self:get(key)
  if value == nil then return nil end
  if not math.type(value) or value < 0 or value >= 1 then self:refuse(name, "a rate from 0 to below 1", value) end
  return value + 0.0
end

function Reader:flag(key)
  local value = self:get(key)
  if value ~= nil and type(value) ~= "boolean" then self:refuse(key, "true or false", value) end
  return value
end

function Reader:epsilon()
  local value = self:get("layer_norm_epsilon")
  if not math.type(value) or value <= 0 or value > 1 then
    self:refuse("layer_norm_epsilon", "a number above 0, at most 1", value)
  end
  return value + 0.0
end

function Reader:choice(key, names)
  local value = self:get(key)
  if value == nil or names[value] then return names[value] end
  local list = {}
  for name in pairs(names) do list[#list + 1] = json.quote(name) end
  neutral.sort(list)
  self:refuse(key, "one of " .. table.concat(list, ", "), value)
end

function Reader:check_variant()
  local kind = self:get("model_type")
  if kind ~= nil and kind ~= "gpt2" then
    core._raise(("%s: model_type %s is not implemented, only \"gpt2\""):format(self.path, validate.show(kind)))
  end
  for _, fixed in ipairs(FIXED) do
    local key, only = table.unpack(fixed)
    if self:flag(key) ~= only then
      core._raise(("%s: %s = %s changes the arithmetic and is not implemented"):format(self.path, key, not only))
    end
  end
  if self:get("quantization_config") ~= nil then
    core._raise(self.path .. ": quantization_config: quantized weights cannot be read; save the model in float32, "
      .. "float16 or bfloat16")
  end
end

function Reader:config()
  self:check_variant()
  local width, heads = self:size("n_embd"), self:size("n_head")
  if width % heads ~= 0 then
    core._raise(("%s: n_embd, %d, is not a multiple of n_head, %d"):format(self.path, width, heads))
  end
  local shortcut = self:rate("resid_pdrop")
  return {
    vocab_size = self:size("vocab_size"), context_length = self:size("n_positions"), emb_dim = width, n_heads = heads,
    n_layers = self:size("n_layer", MOST_LAYERS), hidden_dim = self:size("n_inner") or 4 * width,
    activation = self:choice("activation_function", ACTIVATIONS), norm_eps = self:epsilon(),
    drop_rate = shortcut, shortcut_drop_rate = shortcut,
    emb_drop_rate = self:rate("embd_pdrop"), attn_drop_rate = self:rate("attn_pdrop"),
    tie_weights = self:flag("tie_word_embeddings"), qkv_bias = self:flag("qkv_bias") ~= false,
    init = self:choice("init", { gpt2 = "gpt2", torch = "torch" }) or "gpt2",
  }
end

-- Reads a config.json.
-- @string path
-- @treturn table a complete config; what its file does not say is as GPT-2's tools take it
function model_config.read(path)
  local values = json.read(path)
  if not json.is_object(values) then core._raise(path .. ": not a JSON object") end
  return setmetatable({ path = path, values = values }, Reader):config()
end

-- The text of a config.json.
-- @tparam table config with every key
-- @tparam[opt={}] {integer,...} ends the ids that end a text
-- @string dtype of the weights, "float32"
-- @treturn string what transformers reads; `qkv_bias` and `init` stand in it where they are not as it thinks
function model_config.encode(config, ends, dtype)
  local qkv_bias, eos = nil, ends and ends[1]
  if not config.qkv_bias then qkv_bias = false end
  return json.encode({
    architectures = { "GPT2LMHeadModel" }, model_type = "gpt2", torch_dtype = dtype,
    vocab_size = config.vocab_size, n_positions = config.context_length,
    n_ctx = config.context_length, n_embd = config.emb_dim,
    n_head = config.n_heads, n_layer = config.n_layers,
    n_inner = config.hidden_dim ~= 4 * config.emb_dim and config.hidden_dim or json.null,
    activation_function = ACTIVATION_NAMES[config.activation], layer_norm_epsilon = config.norm_eps,
    resid_pdrop = config.shortcut_drop_rate, embd_pdrop = config.emb_drop_rate, attn_pdrop = config.attn_drop_rate,
    initializer_range = 0.02, tie_word_embeddings = config.tie_weights,
    bos_token_id = eos or json.null, eos_token_id = ends and #ends > 1 and ends or eos or json.null,
    qkv_bias = qkv_bias, init = config.init ~= "gpt2" and config.init or nil,
  }, 2) .. "\n"
end

return model_config
