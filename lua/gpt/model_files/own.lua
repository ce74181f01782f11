-- What a model's files say of a config beside what other programs know: any of its keys, by its own name.
local attempt = require "gpt.support.attempt"
local configs = require "gpt.config"
local extended = require "gpt.support.extended"
local fields = require "gpt.config.fields"
local json = require "gpt.support.json"
local same = require "gpt.support.same"

local own = {}

-- Keys that do not change what a model computes: how weights are drawn, what training drops, biases that files may have
-- as zeros, and the family, whose files have another one's form.
local QUIET = {
  family = true, init = true, qkv_bias = true, bias = true, emb_drop_rate = true, attn_drop_rate = true,
  shortcut_drop_rate = true,
}

local CLOSE = 1e-6 -- as far as a float32 goes

-- The value of a text that stands for a table.
local function table_of(text)
  local done, value = attempt(json.decode, text)
  return done and type(value) == "table" and value or text
end

-- Reads into a config all keys that there are.
-- @func find returns the value of a key of the config, or nil
-- @func refuse called with a key, what was expected, and the value
function own.read(find, refuse, config)
  for _, field in ipairs(fields.LIST) do
    local name, rule = field[1], field[2]
    local value = find(name)
    if value ~= nil then
      local result, expected = rule(value)
      if result == nil and type(value) == "string" then result = rule(table_of(value)) end
      if result == nil then refuse(name, expected, value) end
      config[name] = result
    end
  end
end

local function checked(given, before)
  local done, config = attempt(configs.check, given, "save")
  return done and config or before
end

-- The keys in which a complete config differs from what the files say of it otherwise; none that follows from those
-- before. (drop_rate is only what the other rates are where they are not given.)
-- @tparam table config
-- @tparam table said what is read from the files, as it is before defaults are filled in
-- @treturn {table,...} each `name`, `value` (false for none), and `other`, what the files say
function own.differences(config, said)
  local list, given = {}, extended(said, {})
  local other = checked(given, given)
  for _, field in ipairs(fields.LIST) do
    local name = field[1]
    local value = rawget(config, name)
    if name ~= "drop_rate" and not same(value, rawget(other, name)) then
      list[#list + 1] = { name = name, value = value or false, other = rawget(other, name) }
      given[name] = value or false
      other = checked(given, other)
    end
  end
  return list
end

local function close(a, b)
  return math.type(a) and math.type(b) and math.abs(a - b) <= CLOSE * math.abs(b)
end

local function shown(value)
  return value and json.encode(value) or tostring(value or "none")
end

-- Calls warn for each of them that another program will do otherwise: with the key, what that program takes it for, and
-- what the model has. Which layers have a window goes without saying where another window is told of.
function own.warn(differences, warn)
  local told = {}
  for _, item in ipairs(differences) do
    local follows = item.name == "layer_types" and told.sliding_window
    if not (follows or QUIET[item.name] or close(item.value, item.other)) then
      warn(item.name, shown(item.other), shown(item.value))
      told[item.name] = true
    end
  end
end

return own
