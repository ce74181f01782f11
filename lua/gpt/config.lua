--- The configs of GPT models: presets, the check that everything goes through, and how they print.
-- @submodule gpt
local core = require "gpt.core"
local defaults = require "gpt.config.defaults"
local families = require "gpt.families"
local fields = require "gpt.config.fields"
local find_misfits = require "gpt.config.misfits"
local known_fields = require "gpt.support.known_fields"
local show = require "gpt.config.show"
local validate = require "gpt.support.validate"

local config = {}

-- Each with its name and its rule.
config.fields = fields.LIST

local by_name, all_names, shown_names = {}, {}, {}

local function add_preset(name, aliases, values)
  local others = #aliases > 0 and (" (%s)"):format(table.concat(aliases, ", ")) or ""
  if not by_name[name] then table.insert(shown_names, name .. others) end
  for _, each in ipairs { name, table.unpack(aliases) } do
    if not by_name[each] then table.insert(all_names, each) end
    by_name[each] = values
  end
end

-- A family's presets, each `{ name, other names, config }`.
function config.add_presets(family)
  for _, preset in ipairs(family.presets or {}) do add_preset(table.unpack(preset)) end
end

for _, family in families.each() do config.add_presets(family) end

-- An optional key that is not set is nil; one that no config has is an error.
local function missing(self, key)
  if type(key) ~= "string" or fields.KNOWN[key] then return nil end
  local other = fields.OTHER_NAMES[key]
  if other then core._raise(("a config has no key '%s'; did you mean '%s'?"):format(key, other)) end
  known_fields.refuse("a config", "key ", key, known_fields.names(fields.KNOWN, self),
    "gpt.help \"config\" lists the keys")
end

local metatable = {
  __name = "gpt.config", __index = missing, __tostring = function(self) return show.config(self, fields.LIST) end,
}

local function copy_of(values)
  local copy = {}
  for key, value in pairs(values) do copy[key] = value end
  return copy
end

local function has_needed(values)
  for _, field in ipairs(fields.LIST) do
    if not field.optional and values[field[1]] == nil then return false end
  end
  return true
end

-- The rules of keys, without need of those that the family gives.
local function fields_with(needed)
  local list = {}
  for i, field in ipairs(fields.LIST) do
    local name, rule = field[1], field[2]
    list[i] = { name, rule, optional = field.optional or needed[name] ~= nil }
  end
  return list
end

-- The keys of a table by their rules, and a config with every key.
local function read(given, who)
  local needed = defaults.needed(given)
  local values, problems = validate.read(given, fields_with(needed), fields.OTHER_NAMES)
  for name, value in pairs(values) do
    if type(value) == "number" then values[name] = math.tointeger(value) or value end
  end
  for name, value in pairs(needed) do
    if values[name] == nil then values[name] = value end
  end
  local whole = has_needed(values) and defaults.fill(copy_of(values))
  if whole then find_misfits(values, whole, problems) end
  validate.raise(who, problems)
  return values, whole
end

-- The shortest name that has all letters of the word in their order: "llama-1B" is "llama-3.2-1B".
local function longer_name(word)
  local pattern = word:lower():gsub("%W", "%%%0"):gsub("%%?.", "%0.-")
  local found
  for _, name in ipairs(#word > 3 and #word < 40 and all_names or {}) do
    if name:lower():find(pattern) and (not found or #name < #found) then found = name end
  end
  return found
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
  local near = longer_name(given) or core._suggest(given, all_names)
  local question = near and ("; did you mean %s?"):format(validate.show(near)) or ";"
  core._raise(("%s: no preset is called %s%s %s"):format(who, validate.show(given), question, presets))
end

--- A complete copy of a config table or preset: every key there, whole numbers as integers.
-- What is wrong is raised at the user's line, all of it in one message that begins with `who`.
function config.check(given, who)
  local _, whole = read(find(given, who), who)
  return setmetatable(whole, metatable)
end

--- Returns a new config table of a published size. Change it as you like and pass it to `gpt.Model` or `gpt.size`.
--
-- Names: `gpt2-small` (`gpt2`, `124M`), `gpt2-medium` (`345M`, `355M`), `gpt2-large` (`762M`, `774M`),
-- `gpt2-xl` (`1542M`, `1558M`), `gpt3` (`175B`), of the papers' tables, with dropout 0.1, no qkv bias and an untied
-- head; and as the models' files have them `llama-3.2-1B`, `-3B`,
-- `llama-3.1-8B`, `-70B`, `llama-3-8B`, `llama-2-7B`, `tinyllama-1.1B`, `smollm2-135M`, `-360M`, `-1.7B`, `mistral-7B`,
-- `mistral-7B-v0.3`, `qwen2.5-0.5B`, `-1.5B`, `-3B`, `-7B`, `qwen3-0.6B`, `-1.7B`, `-4B`, `-8B`, `gemma-2b`,
-- `gemma-7b`, `gemma-2-2b`, `-9b`, `-27b`, `gemma-3-270m`, `-1b`.
--
-- Keys: `vocab_size`, `context_length`, `emb_dim`, `n_heads`, `n_layers`, `drop_rate`, `qkv_bias`; and, to change their
-- defaults, which are GPT-2's:
--
-- - `family` ("gpt2"; "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3"): the defaults are that
--   family's, `drop_rate` (0) and `qkv_bias` included
-- - those of blocks, which `gpt.help "TransformerBlock"` lists
-- - `positions` ("learned"; "rotary"; "none"), `tie_weights` (false), `embedding_scale` (none): a factor,
--   `logit_softcap` (none): logits become logit_softcap * tanh(logits / logit_softcap), `init` ("gpt2"; "torch")
-- - `emb_drop_rate`, `attn_drop_rate`, `shortcut_drop_rate` (each as drop_rate)
--
-- `false` takes out what the family has by default. Floats with an integer value (12.0) become integers.
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
  return setmetatable((read(merged, who)), metatable)
end

return config
