--- Layers: gpt.nn.
-- @module gpt.nn
local core = require "gpt.core"
local config = require "gpt.config"
local items = require "gpt.support.items"
local validate = require "gpt.support.validate"

local nn = core.nn
nn.parameter = core._parameter

local constructors = setmetatable({}, { __mode = "k" }) -- what nn.layer made: the layers' names

local SETTINGS = { "init", "forward", "positionwise", "describe" }

-- Of a definition only its settings are held to their names: it may have methods and constants of any other. A method's
-- name is taken for a misspelt setting only where the setting is not there and the name is a slip away (`froward`), for
-- `inits` or `forwards` may be meant.
local function check_names(refuse, definition)
  for key, value in pairs(definition) do
    local suggest = type(value) == "function" and core._suggest_typo or core._suggest
    local near = type(key) == "string" and suggest(key, SETTINGS)
    local method = type(value) == "function" and near and definition[near] ~= nil
    if near and near ~= key and not method then refuse("%s: unknown key; did you mean '%s'?", key, near) end
  end
end

local function check_definition(name, definition)
  local function refuse(format, ...) core._raise(("nn.layer: %s: %s"):format(name, format:format(...))) end
  if type(name) ~= "string" then core._raise(("nn.layer: a name expected, got %s"):format(type(name))) end
  if type(definition) == "table" then check_names(refuse, definition) end
  if type(definition) ~= "table" or type(definition.forward) ~= "function" then
    refuse "a table with forward = function(self, x) ... end expected"
  end
  local positionwise, init, describe = definition.positionwise, definition.init, definition.describe
  if positionwise ~= nil and type(positionwise) ~= "boolean" then
    refuse("positionwise: true or false expected, got %s", type(positionwise))
  end
  if init ~= nil and type(init) ~= "function" then refuse("init: a function expected, got %s", type(init)) end
  if describe ~= nil and type(describe) ~= "function" then
    refuse("describe: a function expected, got %s", type(describe))
  end
end

--- A new kind of layer, written in Lua.
--
-- Layers and `gpt.nn.parameter(tensor)`s that are assigned to fields of `self` become its parts, in the order of
-- assignment; other values are plain fields. Further functions in `definition` are methods of the layer. A field that
-- was never assigned is nil, as in any table; but a name that looks like a misspelt field of the layer is an error,
-- unless nil was assigned to it.
--
-- `layer(x, ...)` passes further arguments to `forward`, after the pass, and returns everything that forward returns.
-- Layers of the core pass on only x: a Sequential or Shortcut calls its parts with x, and ignores further results.
-- @function nn.layer
-- @tparam string name the name that prints
-- @tparam table definition `forward = function(self, x, pass, ...)` returns a tensor, and maybe more (see
-- `gpt.help "Pass"`, and below); `init = function(self, ...)` takes the constructor's arguments;
-- `positionwise = true` says that this forward mixes no positions itself (its parts may), so that generation can use
-- the KV cache (one that mixes them through `pass:attention` alone need not say it); `describe = function(self)`
-- returns what the printed layer shows in its brackets
-- @treturn function the constructor
-- @usage
-- local Scale = gpt.nn.layer("Scale", {
--   init = function(self, dim) self.weight = gpt.nn.parameter(gpt.ones(dim)) end,
--   forward = function(self, x) return x * self.weight end,
--   positionwise = true,
-- })
-- print(Scale(3)(gpt.ones(2, 3)))
function nn.layer(name, definition)
  check_definition(name, definition)
  local init = definition.init
  local function constructor(...)
    local self = core._new_layer(name, definition, definition.positionwise)
    if init then init(self, ...) end
    return self
  end
  constructors[constructor] = name
  return constructor
end

local Function = nn.layer("Function", {
  init = function(self, fn) self.fn = fn end,
  forward = function(self, x) return self.fn(x) end,
})

-- The name of a function that makes layers, or nil.
local function constructor_name(fn)
  for name, constructor in pairs(nn) do
    if fn == constructor then return "nn." .. name end
  end
  return constructors[fn]
end

local CONSTRUCTOR = "%s: item %d is the function %s itself: call it, as in %s(...)"

-- A table, and no constructor in it that was not called.
local function check_list(who, layers)
  if type(layers) ~= "table" then
    core._raise(("%s: a table of layers expected, got %s: %s { a, b }"):format(who, core._typename(layers), who))
  end
  for i, layer in items(layers) do
    local name = constructor_name(layer)
    if name then core._raise(CONSTRUCTOR:format(who, i, name, name)) end
  end
end

--- Runs layers in turn, each on the output of the one before it. Plain functions may be among them.
-- @function nn.Sequential
-- @tparam {Layer|function,...} layers
-- @treturn Layer
-- @usage gpt.nn.Sequential { gpt.nn.Linear(3, 4), gpt.nn.GELU(), function(x) return x * 2 end }
function nn.Sequential(layers)
  check_list("nn.Sequential", layers)
  local list = {}
  for i, layer in items(layers) do list[i] = type(layer) == "function" and Function(layer) or layer end
  return core._sequential(list)
end

--- A list of layers that another layer calls, as `list[i](x)`. They count, train and save with their owner.
-- @function nn.List
-- @tparam {Layer,...} layers
-- @treturn Layer
-- @usage local experts = gpt.nn.List { gpt.nn.Linear(3, 3), gpt.nn.Linear(3, 3) }
-- print(experts[2](gpt.ones(1, 3)))
function nn.List(layers)
  check_list("nn.List", layers)
  return core._list(layers)
end

local function check_block_number(i, n)
  if math.type(i) and i >= 1 and i <= n and math.tointeger(i) then return math.tointeger(i) end
  core._raise(("nn.TransformerBlock: a block's number from 1 to n_layers (%d) expected, got %s"):format(n,
    validate.show(i)))
end

--- The transformer block of a config: x + attention(norm1(x)), then x + feed_forward(norm2(x)), with dropout on both
-- (Radford et al. 2019). The keys that say what a block is, with GPT-2's defaults:
--
-- - `norm` ("layer_norm"; "rms_norm"), `norm_eps` (1e-5), `norm_offset` (0; see `nn.RMSNorm`); `post_norms` (false):
--   norms behind attention and feed-forward too, `post_norm1` and `post_norm2`
-- - `hidden_dim` (4 x emb_dim), `gated` (false; see `nn.FeedForward`), `activation` ("gelu", the tanh form;
--   "gelu_exact"; "relu"; "silu"), `bias` (true) of the feed-forward layer and of attention's output
-- - `n_kv_heads` (n_heads) of keys and values, `head_dim` (emb_dim / n_heads), `qk_norm` (false): norms of each head's
--   queries and keys, `attention_scale` (1 / sqrt(head_dim)), `attention_softcap` (none)
-- - where `positions` are "rotary": `rope_base` (10000), `rope_scaling` (none), which is `gpt.rotary`'s scaling,
--   `rope_dims` (head_dim), and `rope_base_local` (as rope_base): layers with a window turn by it, unscaled
-- - `sliding_window` (none): so many tokens each token sees, itself included, in the layers that `layer_types` (an
--   entry for each: "sliding_attention" or "full_attention") names; without that list in all
-- @function nn.TransformerBlock
-- @tparam table|string given a config, as for gpt.Model
-- @tparam[opt=1] integer i the block's number, which chooses from `layer_types`
-- @treturn Layer [batch, tokens, emb_dim] -> the same
-- @usage local block = gpt.nn.TransformerBlock(gpt.config("gpt2-small", { emb_dim = 48 }))
-- print(block(gpt.randn(1, 4, 48)))
function nn.TransformerBlock(given, i)
  local whole = config.check(given, "nn.TransformerBlock")
  return core._block(whole, check_block_number(i == nil and 1 or i, whole.n_layers))
end

return nn
