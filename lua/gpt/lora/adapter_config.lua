-- adapter_config.json of PEFT.
local core = require "gpt.core"
local json = require "gpt.support.json"
local validate = require "gpt.support.validate"

local adapter_config = {}

-- Keys that change what an adapter computes, or what else is in its file; only these values are implemented (null
-- always is).
local FIXED = {
  peft_type = "LORA", bias = "none", use_dora = false, lora_bias = false, modules_to_save = {}, target_parameters = {},
  layer_replication = {}, trainable_token_indices = {}, use_bdlora = {}, use_qalora = false, arrow_config = {},
  alora_invocation_tokens = {}, kasa_config = {}, velora_config = {}, monteclora_config = {},
}

local Config = {}
Config.__index = Config

local function refuse(path, key, expected, value)
  core._raise(("%s: %s: %s expected, got %s"):format(path, key, expected, validate.show(value)))
end

local function number(values, path, key, otherwise, fits, expected)
  local value = values[key]
  if value == nil or value == json.null then return otherwise end
  if not math.type(value) or not fits(value) then refuse(path, key, expected, value) end
  return value + 0.0
end

local function is_empty(value) return type(value) == "table" and next(value) == nil end

local function check_fixed(values, path)
  for key, only in pairs(FIXED) do
    local value = values[key]
    local fits = value == nil or value == json.null or value == only or is_empty(value) and is_empty(only)
    if not fits then
      core._raise(("%s: %s: %s is not implemented"):format(path, key,
        type(value) == "table" and "what it asks for" or validate.show(value)))
    end
  end
end

-- The number of the pattern that means a module, or nil. PEFT takes a pattern's key as a regular expression for the end
-- of the module's name; names with dots are what it is used with. Of several the longest one counts.
local function pattern_of(patterns, name)
  local ending = name
  while ending and ending ~= "" do
    if patterns[ending] then return patterns[ending] end
    ending = ending:match "%.(.*)"
  end
end

local function check_patterns(values, path)
  local patterns = values.alpha_pattern
  if patterns == nil or patterns == json.null then return {} end
  if not json.is_object(patterns) then refuse(path, "alpha_pattern", "an object", patterns) end
  for key, alpha in pairs(patterns) do
    if not (math.type(alpha) and alpha > 0) then
      refuse(path, ("alpha_pattern: %s"):format(json.quote(key)), "a number above 0", alpha)
    end
    if key:find "[%^%$%*%+%?%(%)%[%]{}|\\]" then
      core._raise(("%s: alpha_pattern: %s is a regular expression, which is not implemented"):format(path,
        json.quote(key)))
    end
  end
  return patterns
end

-- What a module's b(a(x)) is multiplied with.
function Config:scale(name, rank)
  local alpha = pattern_of(self.patterns, name) or self.alpha
  return self.rooted and alpha / math.sqrt(rank) or alpha / rank
end

-- Reads and checks the file.
-- @string path
-- @treturn table `dropout`; `:scale(module's name, rank)`
function adapter_config.read(path)
  local values = json.read(path)
  if not json.is_object(values) then core._raise(path .. ": not a JSON object") end
  check_fixed(values, path)
  return setmetatable({
    alpha = number(values, path, "lora_alpha", 8.0, function(v) return v > 0 end, "a number above 0"),
    dropout = number(values, path, "lora_dropout", 0.0, function(v) return v >= 0 and v < 1 end,
      "a rate of at least 0 and below 1"),
    rooted = values.use_rslora == true,
    patterns = check_patterns(values, path),
  }, Config)
end

-- Where all modules of a name have an adapter the name alone says so, otherwise whole names do.
local function targets_of(list, found)
  local total, own, targets, seen = {}, {}, {}, {}
  for _, module in ipairs(list) do total[module.last] = (total[module.last] or 0) + 1 end
  for _, each in ipairs(found) do own[each.module.last] = (own[each.module.last] or 0) + 1 end
  for _, each in ipairs(found) do
    local last = each.module.last
    local target = own[last] == total[last] and last or each.module.name
    if not seen[target] then targets[#targets + 1], seen[target] = target, true end
  end
  return json.array(targets)
end

-- The text of the file.
-- @tparam {table,...} list all modules (gpt.lora.modules)
-- @tparam {table,...} found those with an adapter: `module`, `rank`, `scale`, `dropout`
function adapter_config.encode(list, found)
  local rank, alpha = found[1].rank, found[1].scale * found[1].rank
  local ranks, alphas = {}, {}
  for _, each in ipairs(found) do
    if each.rank ~= rank then ranks[each.module.name] = each.rank end
    if each.scale * each.rank ~= alpha then alphas[each.module.name] = each.scale * each.rank end
  end
  return json.encode({
    peft_type = "LORA", task_type = "CAUSAL_LM", base_model_name_or_path = json.null, inference_mode = true,
    r = rank, lora_alpha = math.tointeger(alpha) or alpha, lora_dropout = found[1].dropout, bias = "none",
    target_modules = targets_of(list, found), fan_in_fan_out = found[1].module.turned, rank_pattern = ranks,
    alpha_pattern = alphas, use_rslora = false, use_dora = false, init_lora_weights = true,
  }, 2) .. "\n"
end

return adapter_config
