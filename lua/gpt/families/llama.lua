-- Llama (Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023; Grattafiori et al., "The Llama 3
-- Herd of Models", 2024), and what is built alike: SmolLM, TinyLlama.
local decoder = require "gpt.model_files.decoder"
local extended = require "gpt.support.extended"
local forms = require "gpt.model_files.forms"
local entries = require "gpt.model_files.keys"
local rope = require "gpt.model_files.rope"

local llama = { name = "llama", title = "Llama" }

-- What keys mean that a config of the family does not have.
llama.defaults = {
  drop_rate = 0, qkv_bias = false, bias = false, norm = "rms_norm", positions = "rotary", gated = true,
  activation = "silu",
}

local function preset(keys) return extended({ family = "llama", drop_rate = 0, qkv_bias = false }, keys) end

local function llama3(factor)
  return { rope_type = "llama3", factor = factor, low_freq_factor = 1, high_freq_factor = 4,
    original_max_position_embeddings = 8192 }
end

-- The sizes that the models' config.json have.
llama.presets = {
  { "llama-3.2-1B", {}, preset { vocab_size = 128256, context_length = 131072, emb_dim = 2048, n_heads = 32,
    n_kv_heads = 8, n_layers = 16, hidden_dim = 8192, tie_weights = true, rope_base = 500000,
    rope_scaling = llama3(32) } },
  { "llama-3.2-3B", {}, preset { vocab_size = 128256, context_length = 131072, emb_dim = 3072, n_heads = 24,
    n_kv_heads = 8, n_layers = 28, hidden_dim = 8192, tie_weights = true, rope_base = 500000,
    rope_scaling = llama3(32) } },
  { "llama-3.1-8B", {}, preset { vocab_size = 128256, context_length = 131072, emb_dim = 4096, n_heads = 32,
    n_kv_heads = 8, n_layers = 32, hidden_dim = 14336, rope_base = 500000, rope_scaling = llama3(8) } },
  { "llama-3.1-70B", {}, preset { vocab_size = 128256, context_length = 131072, emb_dim = 8192, n_heads = 64,
    n_kv_heads = 8, n_layers = 80, hidden_dim = 28672, rope_base = 500000, rope_scaling = llama3(8) } },
  { "llama-3-8B", {}, preset { vocab_size = 128256, context_length = 8192, emb_dim = 4096, n_heads = 32,
    n_kv_heads = 8, n_layers = 32, hidden_dim = 14336, rope_base = 500000 } },
  { "llama-2-7B", {}, preset { vocab_size = 32000, context_length = 4096, emb_dim = 4096, n_heads = 32,
    n_layers = 32, hidden_dim = 11008 } },
  { "tinyllama-1.1B", {}, preset { vocab_size = 32000, context_length = 2048, emb_dim = 2048, n_heads = 32,
    n_kv_heads = 4, n_layers = 22, hidden_dim = 5632 } },
  { "smollm2-135M", {}, preset { vocab_size = 49152, context_length = 8192, emb_dim = 576, n_heads = 9,
    n_kv_heads = 3, n_layers = 30, hidden_dim = 1536, tie_weights = true, rope_base = 100000 } },
  { "smollm2-360M", {}, preset { vocab_size = 49152, context_length = 8192, emb_dim = 960, n_heads = 15,
    n_kv_heads = 5, n_layers = 32, hidden_dim = 2560, tie_weights = true, rope_base = 100000 } },
  { "smollm2-1.7B", {}, preset { vocab_size = 49152, context_length = 8192, emb_dim = 2048, n_heads = 32,
    n_layers = 24, hidden_dim = 8192, tie_weights = true, rope_base = 130000 } },
}

llama.tensors = decoder.tensors {
  queries = forms.neighbours "n_heads", keys = forms.neighbours "n_kv_heads", qkv_bias = true, bias = true,
  zeros = {
    qkv_bias = function(config) return config.bias end, output_bias = function(config) return config.qkv_bias end,
  },
}

-- attention_bias is that of all four projections, mlp_bias that of the feed-forward layers.
local biases = {
  read = function(source, config)
    local function flag(name)
      local value = source:find(name)
      return value ~= nil and entries.checked(source, "flag", value, name)
    end
    config.qkv_bias = flag "attention_bias"
    config.bias = config.qkv_bias or flag "mlp_bias"
  end,
  write = function(config, sink)
    sink:put("attention_bias", config.qkv_bias or config.bias)
    sink:put("mlp_bias", config.bias)
  end,
}

llama.huggingface = {
  name = "llama", architecture = "LlamaForCausalLM", prefix = "model.", also = decoder.also,
  ignored = { "layers.*.self_attn.rotary_emb.inv_freq" }, -- of old files
  keys = decoder.huggingface_keys({
    vocab_size = 32000, context_length = 2048, emb_dim = 4096, hidden_dim = 11008, n_layers = 32, n_heads = 32,
  }, { biases, rope.huggingface { base = 10000 } }),
}

llama.gguf = {
  name = "llama", ignored = { "rope_freqs.weight" }, fixed = decoder.gguf_fixed,
  keys = decoder.gguf_keys { rope.gguf { base = 10000, factors = true } },
}

return llama
