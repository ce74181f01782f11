--- The configs of GPT models: presets, the check that everything goes through, and how they print.
-- @submodule gpt
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local known_fields = require "gpt.support.known_fields"
local neutral = require "gpt.support.neutral"

local config = {}

local LARGEST_COUNT = 2 ^ 53 -- counts up to here are exact in floats and, times 16 bytes, in integers

-- In the order in which configs print; the first seven make a config.
local FIELDS = {
  { "vocab_size", validate.whole(1) },
  { "context_length", validate.whole(1) },
  { "emb_dim", validate.whole(1) },
  { "n_heads", validate.whole(1) },
  { "n_layers", validate.whole(1) },
  { "drop_rate", validate.rate },
  { "qkv_bias", validate.boolean },
  { "hidden_dim", validate.whole(1), optional = true },
  { "activation", validate.one_of { "gelu", "gelu_exact", "relu" }, optional = true },
  { "tie_weights", validate.boolean, optional = true },
  { "norm_eps", validate.positive(1), optional = true },
  { "init", validate.one_of { "gpt2", "torch" }, optional = true },
  { "emb_drop_rate", validate.rate, optional = true },
  { "attn_drop_rate", validate.rate, optional = true },
  { "shortcut_drop_rate", validate.rate, optional = true },
}

-- Each with its name and its rule.
config.fields = FIELDS

-- What other programs call our keys.
local OTHER_NAMES = {
  n_embd = "emb_dim", d_model = "emb_dim", hidden_size = "emb_dim", embedding_dim = "emb_dim",
  n_head = "n_heads", num_heads = "n_heads", num_attention_heads = "n_heads",
  n_layer = "n_layers", num_layers = "n_layers", num_hidden_layers = "n_layers",
  n_ctx = "context_length", n_positions = "context_length", block_size = "context_length",
  max_position_embeddings = "context_length", max_seq_len = "context_length",
  n_vocab = "vocab_size", n_inner = "hidden_dim", ff_dim = "hidden_dim", d_ff = "hidden_dim",
  dropout = "drop_rate", resid_pdrop = "shortcut_drop_rate", embd_pdrop = "emb_drop_rate",
  attn_pdrop = "attn_drop_rate", bias = "qkv_bias", activation_function = "activation",
  tie_word_embeddings = "tie_weights", layer_norm_epsilon = "norm_eps",
}

local function preset(context_length, emb_dim, n_heads, n_layers)
  return {
    vocab_size = 50257, context_length = context_length, emb_dim = emb_dim, n_heads = n_heads, n_layers = n_layers,
    drop_rate = 0.1, qkv_bias = false,
  }
end

-- GPT-2: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, table 2.
-- GPT-3: Brown et al., "Language Models are Few-Shot Learners", 2020, table 2.1.
local PRESETS = {
  { "gpt2-small", { "gpt2", "124M" }, preset(1024, 768, 12, 12) },
  { "gpt2-medium", { "345M", "355M" }, preset(1024, 1024, 16, 24) },
  { "gpt2-large", { "762M", "774M" }, preset(1024, 1280, 20, 36) },
  { "gpt2-xl", { "1542M", "1558M" }, preset(1024, 1600, 25, 48) },
  { "gpt3", { "175B" }, preset(2048, 12288, 96, 96) },
}

local by_name, all_names, shown_names = {}, {}, {}
for i, entry in ipairs(PRESETS) do
  local name, aliases, values = table.unpack(entry)
  shown_names[i] = ("%s (%s)"):format(name, table.concat(aliases, ", "))
  by_name[name] = values
  table.insert(all_names, name)
  for _, alias in ipairs(aliases) do
    by_name[alias] = values
    table.insert(all_names, alias)
  end
end

local function format_value(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "number" then return tostring(value) end
  if value ~= value then return "0/0" end
  if value == math.huge or value == -math.huge then return value > 0 and "math.huge" or "-math.huge" end
  if math.type(value) == "integer" then return tostring(value) end
  local short = neutral.format("%.14g", value)
  if tonumber(short) ~= value then short = neutral.format("%.17g", value) end
  return short:find("[.e]") and short or short .. ".0"
end

local function format_key(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key end
  return ("[%s]"):format(format_value(key))
end

--- Lua that makes the config, keys in their order, and what else was put into it after them.
local function format_config(self)
  local lines, known, others = { "{" }, {}, {}
  for _, field in ipairs(FIELDS) do
    local name, value = field[1], self[field[1]]
    known[name] = true
    if value ~= nil then table.insert(lines, ("  %s = %s,"):format(name, format_value(value))) end
  end
  for key, value in pairs(self) do
    if not known[key] then table.insert(others, ("  %s = %s,"):format(format_key(key), format_value(value))) end
  end
  neutral.sort(others)
  table.move(others, 1, #others, #lines + 1, lines)
  table.insert(lines, "}")
  return table.concat(lines, "\n")
end

local KNOWN = {}
for _, field in ipairs(FIELDS) do KNOWN[field[1]] = true end

-- An optional key that is not set is nil; one that no config has is an error.
local function missing(self, key)
  if type(key) ~= "string" or KNOWN[key] then return nil end
  local other = OTHER_NAMES[key]
  if other then core._raise(("a config has no key '%s'; did you mean '%s'?"):format(key, other)) end
  known_fields.refuse("a config", "key ", key, known_fields.names(KNOWN, self), "gpt.help \"config\" lists the keys")
end

local metatable = { __name = "gpt.config", __index = missing, __tostring = format_config }

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

local function find_misfits(values, problems)
  local emb_dim, n_heads = values.emb_dim, values.n_heads
  if not (emb_dim and n_heads) or emb_dim % n_heads == 0 then return end
  table.insert(problems, ("emb_dim: %d is not divisible by n_heads (%d); emb_dim %s would fit, or n_heads %s"):format(
    emb_dim, n_heads, fitting(emb_dim, n_heads)))
end

local function find_giants(values, problems)
  local v, t, c, l = values.vocab_size, values.context_length, values.emb_dim, values.n_layers
  if not (v and t and c and l) then return end
  local hidden = values.hidden_dim or 4 * c
  local parameters = (2.0 * v + t) * c + l * (4.0 * c * c + 2.0 * c * hidden)
  local cache = 2.0 * l * t * c
  if parameters > LARGEST_COUNT then
    table.insert(problems, neutral.format("too large together: about %.1e parameters; at most 2^53 can be counted",
      parameters))
  elseif cache > LARGEST_COUNT then
    local text = "too large together: about %.1e numbers in the KV cache; at most 2^53 can be counted"
    table.insert(problems, neutral.format(text, cache))
  end
end

local function read(given, who)
  local values, problems = validate.read(given, FIELDS, OTHER_NAMES)
  find_misfits(values, problems)
  find_giants(values, problems)
  validate.raise(who, problems)
  return values
end

local function fill(values)
  local defaults = {
    hidden_dim = 4 * values.emb_dim, activation = "gelu", tie_weights = false, norm_eps = 1e-5, init = "gpt2",
    emb_drop_rate = values.drop_rate, attn_drop_rate = values.drop_rate, shortcut_drop_rate = values.drop_rate,
  }
  for name, value in pairs(defaults) do
    if values[name] == nil then values[name] = value end
  end
  return values
end

--- A preset by name, or the table itself; raises for anything else.
local function find(given, who)
  if type(given) == "table" then return given end
  local presets = "presets: " .. table.concat(shown_names, ", ")
  if type(given) ~= "string" then
    local advice = core._typename(given) == "gpt.Layer" and "a model's is model.config" or presets
    local got = validate.show(given)
    core._raise(("%s: a preset's name or a config table expected, got %s; %s"):format(who, got, advice))
  end
  if by_name[given] then return by_name[given] end
  local near = core._suggest(given, all_names)
  local question = near and ("; did you mean %s?"):format(validate.show(near)) or ";"
  core._raise(("%s: no preset is called %s%s %s"):format(who, validate.show(given), question, presets))
end

--- A complete copy of a config table or preset: every key there, whole numbers as integers.
-- What is wrong is raised at the user's line, all of it in one message that begins with `who`.
function config.check(given, who)
  return setmetatable(fill(read(find(given, who), who)), metatable)
end

--- Returns a new config table of a GPT-2 or GPT-3 size. Change it as you like and pass it to `gpt.Model` or `gpt.size`.
--
-- Names: `gpt2-small` (`gpt2`, `124M`), `gpt2-medium` (`345M`, `355M`), `gpt2-large` (`762M`, `774M`),
-- `gpt2-xl` (`1542M`, `1558M`), `gpt3` (`175B`). The sizes are those of Radford et al. 2019 (table 2) and Brown et
-- al. 2020 (table 2.1), with dropout 0.1, no bias on query, key and value, and an output head that is not tied.
--
-- Keys: `vocab_size`, `context_length`, `emb_dim`, `n_heads`, `n_layers`, `drop_rate`, `qkv_bias`; and, to change their
-- defaults, `hidden_dim` (4 x emb_dim), `activation` ("gelu", the tanh form; "gelu_exact"; "relu"), `tie_weights`
-- (false), `norm_eps` (1e-5), `init` ("gpt2"; "torch"), `emb_drop_rate`, `attn_drop_rate`, `shortcut_drop_rate` (each
-- as drop_rate). Floats with an integer value (12.0) become integers.
-- @function config
-- @tparam string|table name a preset's name, or a config table: then a checked copy
-- @tparam[opt] table overrides keys that replace or extend the preset's
-- @treturn table a plain table that prints as Lua
-- @raise one error with everything that is wrong: unknown and missing keys, wrong types, values out of range
-- @usage local config = gpt.config("gpt2-small", { context_length = 256, drop_rate = 0 })
-- config.n_layers = 6
-- print(config)
function config.config(name, overrides)
  local who, merged = "gpt.config", {}
  for key, value in pairs(find(name, who)) do merged[key] = value end
  if overrides ~= nil and type(overrides) ~= "table" then
    core._raise(("%s: a table of overrides expected, got %s"):format(who, validate.show(overrides)))
  end
  for key, value in pairs(overrides or {}) do merged[key] = value end
  return setmetatable(read(merged, who), metatable)
end

return config
