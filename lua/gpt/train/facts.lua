-- What has to be the same on all ranks of a run, as texts by name (ranks.lua compares them). Names that begin with
-- "the " are of digests, which say nothing to anybody.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local show_config = require "gpt.config.show"
local validate = require "gpt.support.validate"

local facts = {}

local DATA_FIELDS = { "tokens", "windows", "context_length", "stride", "batch_size", "seed", "shuffle", "drop_last" }

-- Options that each rank may have as it likes, and those that stand in the facts in another way.
local ASIDE = {
  world = true, model = true, optimizer = true, progress = true, log_every = true, metrics = true, keep = true,
  keeps_optimizer = true, parameters = true, batch = true, frees_batches = true, data = true, validation = true,
}

-- The config of a model, nil of another layer.
function facts.config_of(model)
  local ok, config = attempt(function() return model.config end)
  return ok and type(config) == "table" and config or nil
end

-- One line: some values print with a picture. Addresses differ from process to process.
local function shown(value)
  if type(value) == "function" then return "a function" end
  local text = type(value) == "table" and show_config.value(value) or validate.show(value)
  return (text:match("^[^\n]*"):gsub("0x%x+", ""))
end

local function digest_of(tensor) return ("%x"):format(core._digest(tensor)) end

local function add_data(list, name, data)
  if type(data) ~= "table" then return end
  for _, field in ipairs(DATA_FIELDS) do
    local value = data[field]
    if value ~= nil then list[name .. "." .. field] = shown(value) end
  end
  if not attempt(function() return data.batch end) or #data == 0 then return end
  for _, i in ipairs { 1, #data } do
    local ids = data:batch(1, i)
    if core.is_tensor(ids) then list[("the ids of batch %d of %s"):format(i, name)] = digest_of(ids) end
  end
end

-- As it prints, without what it counts.
local function settings_of(optimizer)
  return (tostring(optimizer):gsub("0x%x+", ""):gsub("%s*%-%-[^\n]*", ""):gsub("%s+", " "))
end

--- What is known before a run begins.
function facts.of_settings(settings)
  local list = { luagpt = require("gpt")._VERSION, ["gpt.precision()"] = shown(core.precision()) }
  for name, value in pairs(settings) do
    if not ASIDE[name] and not name:find "^on_" then list[name] = shown(value) end
  end
  add_data(list, "data", settings.data)
  add_data(list, "validation", settings.validation)
  if settings.keeps_optimizer then list.optimizer = settings_of(settings.optimizer) end
  for key, value in pairs(facts.config_of(settings.model) or {}) do list["config." .. tostring(key)] = shown(value) end
  for path, tensor in settings.model:parameters() do
    list["parameter " .. path] = ("%s %s%s"):format(tensor:dtype(), name_list.shape(tensor:shape()),
      tensor:requires_grad() and "" or ", frozen")
  end
  return list
end

--- Where a run is when it begins.
function facts.of_run(run)
  local list = { step = tostring(run.step), position = tostring(run.position) }
  for path, tensor in run.model:parameters() do list["the weights of " .. path] = digest_of(tensor) end
  return list
end

return facts
