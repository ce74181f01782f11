-- A family that luagpt does not have, as a script of one's own: Phi (Gunasekar et al., "Textbooks Are All You Need",
-- 2023; Phi-1, Phi-1.5 and Phi-2). Its blocks are parallel: attention and feed-forward read the same norm, and both are
-- added. Half of each head turns with its position, and the head has a bias.
--
--   lua5.4 examples/phi.lua DIRECTORY [TEXT]
--
-- loads what Hugging Face's tools saved (microsoft/phi-2, for instance) and continues the text.
local gpt = require "gpt"
local rope = require "gpt.model_files.rope"
local nn = gpt.nn

local Block = nn.layer("PhiBlock", {
  init = function(self, c)
    self.norm = nn.LayerNorm(c.emb_dim, { eps = c.norm_eps })
    self.attention = nn.MultiHeadAttention {
      emb_dim = c.emb_dim, n_heads = c.n_heads, n_kv_heads = c.n_kv_heads, context_length = c.context_length,
      qkv_bias = true, rope_base = c.rope_base, rope_dims = c.rope_dims, drop_rate = c.attn_drop_rate,
    }
    self.feed_forward = nn.FeedForward { emb_dim = c.emb_dim, hidden_dim = c.hidden_dim, activation = c.activation }
  end,
  forward = function(self, x)
    local normed = self.norm(x)
    return x + self.attention(normed) + self.feed_forward(normed)
  end,
})

-- Where a layer stands in a model, and what Hugging Face's files call it, with a * for the number of the block.
local layers = {
  { "blocks.*.norm", "model.layers.*.input_layernorm" },
  { "blocks.*.attention.query", "model.layers.*.self_attn.q_proj" },
  { "blocks.*.attention.key", "model.layers.*.self_attn.k_proj" },
  { "blocks.*.attention.value", "model.layers.*.self_attn.v_proj" },
  { "blocks.*.attention.output", "model.layers.*.self_attn.dense" },
  { "blocks.*.feed_forward.expand", "model.layers.*.mlp.fc1" },
  { "blocks.*.feed_forward.project", "model.layers.*.mlp.fc2" },
  { "final_norm", "model.final_layernorm" },
  { "head", "lm_head" },
}
local tensors = { { "token_embedding.weight", "model.embed_tokens.weight" } }
for _, layer in ipairs(layers) do
  for _, kind in ipairs { ".weight", ".bias" } do table.insert(tensors, { layer[1] .. kind, layer[2] .. kind }) end
end

gpt.family {
  name = "phi", title = "Phi", tensors = tensors,
  defaults = { drop_rate = 0, qkv_bias = true, positions = "rotary" },
  parts = function() return { block = Block, head = function(c) return nn.Linear(c.emb_dim, c.vocab_size) end } end,
  huggingface = {
    name = "phi", architecture = "PhiForCausalLM", prefix = "model.",
    fixed = { { "qk_layernorm", false }, { "tie_word_embeddings", false } },
    keys = {
      { "emb_dim", "hidden_size", "size", 2048 },
      { "n_heads", "num_attention_heads", "size", 32 },
      { "n_kv_heads", "num_key_value_heads", "size", function(c) return c.n_heads end },
      { "vocab_size", "vocab_size", "size", 51200 },
      { "context_length", "max_position_embeddings", "size", 2048 },
      { "n_layers", "num_hidden_layers", "layers", 24 },
      { "hidden_dim", "intermediate_size", "size", function(c) return 4 * c.emb_dim end },
      { "activation", "hidden_act", "word", "gelu", words = { gelu_new = "gelu", gelu = "gelu_exact" },
        written = { gelu = "gelu_new", gelu_exact = "gelu" } },
      { "norm_eps", "layer_norm_eps", "epsilon", 1e-5 },
      rope.huggingface { base = 10000, partial = true, part = 0.5 },
    },
  },
}

if arg and arg[0]:find "phi%.lua$" then
  if not arg[1] then
    io.stderr:write "usage: lua5.4 examples/phi.lua DIRECTORY [TEXT]; that of a Phi model (microsoft/phi-2)\n"
    os.exit(2)
  end
  local model = gpt.load(arg[1])
  print(model.blocks[1])
  print(model:generate(arg[2] or { 1 }, { max_new_tokens = 50 }))
end
