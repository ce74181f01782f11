-- What files say of sliding windows, and of which layers have one: entries for the lists of keys of recipes.
local core = require "gpt.core"
local json = require "gpt.support.json"
local keys = require "gpt.model_files.keys"

local windows = {}

local FULL, WINDOWED = "full_attention", "sliding_attention"

-- Types for all layers, by their numbers from 1.
local function types_by(is_full, config)
  local types = {}
  for i = 1, config.n_layers do types[i] = is_full(i) and FULL or WINDOWED end
  return types
end

-- A function that makes the types of a config where every so many layers one is without a window.
function windows.every(count)
  return function(config) return types_by(function(i) return i % count == 0 end, config) end
end

local function read_types(source)
  local types, name = source:find "layer_types"
  if types == nil then return nil end
  if not json.is_array(types) then source:refuse(name, "a list", types) end
  for _, kind in ipairs(types) do
    if kind ~= FULL and kind ~= WINDOWED then
      core._raise(("%s: %s: %s is not implemented, only %s and %s"):format(source.path, name, json.encode(kind),
        json.quote(FULL), json.quote(WINDOWED)))
    end
  end
  return types
end

-- A window; false for none.
-- @param default what it is where a file does not say it
local function read_window(source, default)
  local window, name = source:find { "sliding_window", "attention.sliding_window" }
  if window == nil then return not source:is_null "sliding_window" and default end
  return keys.checked(source, "size", window, name)
end

local function count_windowed(config)
  local count = 0
  for _, kind in ipairs(config.layer_types or {}) do count = count + (kind == WINDOWED and 1 or 0) end
  return count
end

-- config.json of Mistral: one window for all layers.
-- @int default where a file does not say it (null is none)
function windows.of_all(default)
  return {
    read = function(source, config) config.sliding_window = read_window(source, default) end,
    write = function(config, sink)
      local all = config.sliding_window and count_windowed(config) == config.n_layers
      sink:put("sliding_window", all and config.sliding_window or json.null)
    end,
  }
end

-- config.json of Qwen: a window where use_sliding_window says so, for layers from max_window_layers on, if layer_types
-- does not tell otherwise.
windows.of_later = {
  read = function(source, config)
    local used, name = source:find "use_sliding_window"
    if used ~= nil and not keys.checked(source, "flag", used, name) then used = nil end
    config.sliding_window = used ~= nil and read_window(source, false)
    config.layer_types = read_types(source)
    if not config.sliding_window then config.layer_types = false end
    if config.layer_types ~= nil then return end
    local first, first_name = source:find "max_window_layers"
    local full = first == nil and 28 or first == 0 and 0 or keys.checked(source, "size", first, first_name)
    config.layer_types = types_by(function(i) return i <= full end, config)
  end,
  write = function(config, sink)
    sink:put("use_sliding_window", config.sliding_window ~= nil)
    sink:put("sliding_window", config.sliding_window or json.null)
    sink:put("max_window_layers", config.n_layers - count_windowed(config))
    sink:put("layer_types", config.layer_types or types_by(function() return true end, config))
  end,
}

-- config.json of Gemma 2 and 3: every so many layers one is without a window, if layer_types does not tell otherwise.
-- @int count where a file does not say it
-- @int default the window where a file does not say it (null is none)
function windows.of_pattern(count, default)
  local function pattern_of(source)
    local value, name = source:find { "sliding_window_pattern", "_sliding_window_pattern" }
    return value == nil and count or keys.checked(source, "size", value, name)
  end
  return {
    read = function(source, config)
      config.sliding_window = read_window(source, default)
      config.layer_types = read_types(source) or windows.every(pattern_of(source))(config)
      if not config.sliding_window then config.layer_types = false end
    end,
    write = function(config, sink)
      sink:put("sliding_window", config.sliding_window or json.null)
      sink:put("layer_types", config.layer_types or types_by(function() return true end, config))
    end,
  }
end

-- How many layers go by from one without a window to the next; nil where they do not come regularly.
local function period_of(types)
  local period
  for i, kind in ipairs(types) do
    if kind == FULL and not period then period = i end
  end
  for i, kind in ipairs(types) do
    if (kind == FULL) ~= (period ~= nil and i % period == 0) then return nil end
  end
  return period or #types + 1
end

local function same_types(a, b)
  return table.concat(a, " ") == table.concat(b, " ")
end

local SIZE = { gguf = "u32" }

-- GGUF's metadata of Gemma 2 and 3.
-- @int count the pattern where a file does not say it
-- @param default the window where a file does not say it
function windows.in_gguf(count, default)
  return {
    read = function(source, config)
      config.sliding_window = read_window(source, default)
      if not config.sliding_window then config.layer_types = false return end
      local pattern, name = source:find "attention.sliding_window_pattern"
      if type(pattern) == "table" then
        config.layer_types = types_by(function(i) return pattern[i] ~= true end, config)
      else
        local every = pattern == nil and count or keys.checked(source, "size", pattern, name)
        config.layer_types = windows.every(every)(config)
      end
    end,
    write = function(config, sink)
      if not config.sliding_window then return end
      sink:put("attention.sliding_window", config.sliding_window, SIZE)
      if same_types(config.layer_types, windows.every(count)(config)) then return end
      local period = period_of(config.layer_types)
      if period then sink:put("attention.sliding_window_pattern", period, SIZE) end
    end,
  }
end

return windows
