-- What PEFT calls the places of adapters: modules of a Hugging Face model, each a Linear of ours or several side by
-- side.
local core = require "gpt.core"
local layout = require "gpt.model_files.layout"
local places = require "gpt.lora.places"

local modules = {}

-- @tparam Model model
-- @tparam table family
-- @treturn {table,...} in the order of the model's layers: `name` ("model.layers.0.self_attn.q_proj"), `last`, what it
-- is called in every block ("self_attn.q_proj"), `places` of its parts, `turned`, where its weight lies as [in, out]
function modules.of(model, family)
  local by_path, list = {}, {}
  for _, place in ipairs(places.find(model)) do by_path[place.path] = place end
  for _, item in ipairs(layout.all(family, model.config, "huggingface")) do
    local parts = {}
    for i, path in ipairs(item.paths) do parts[i] = by_path[path:match "^(.*)%.weight$"] end
    if #parts == #item.paths then
      local name = item.full:match "^(.*)%.weight$"
      list[#list + 1] = { name = name, last = name:match "%.%d+%.(.*)$" or name, places = parts,
        turned = item.form ~= nil }
    end
  end
  return list
end

-- The Linear's weight at a place, with or without adapters.
function modules.weight(place)
  return (places.is_lora(place.layer) and place.layer.base or place.layer).weight
end

-- A module's inputs and outputs.
function modules.size(module)
  local outputs = 0
  for _, place in ipairs(module.places) do outputs = outputs + modules.weight(place):size(1) end
  return modules.weight(module.places[1]):size(2), outputs
end

-- Zeros, or nothing where there would be none.
local function add_zeros(list, rows, columns)
  if columns > 0 then list[#list + 1] = core.zeros(rows, columns) end
end

-- A part's rows of b among `rank` columns, of which its own begin behind `first`.
local function widened(b, first, rank)
  local list = {}
  add_zeros(list, b:size(1), first)
  list[#list + 1] = b
  add_zeros(list, b:size(1), rank - first - b:size(2))
  return #list == 1 and b or core.cat(list, 2)
end

local function all_share(adapters)
  local first
  for _, adapter in pairs(adapters) do
    local identity = core._identity(adapter.a)
    first = first or identity
    if identity ~= first then return false end
  end
  return true
end

-- The adapters of a module's parts as one: a and b, rank and scale. Parts that share their a keep it; otherwise those
-- of the parts lie above each other, and b is block-diagonal.
-- @tparam table module
-- @tparam {[integer]=Layer} adapters by part; parts may have none
function modules.joined(module, adapters)
  local shared, above, below, rank, scale = all_share(adapters), {}, {}, 0, nil
  for i = 1, #module.places do
    if adapters[i] then
      local own, alpha = core._adapter_options(adapters[i])
      scale, rank = scale or alpha / own, shared and own or rank + own
      if not shared or #above == 0 then above[#above + 1] = adapters[i].a end
    end
  end
  local first = 0
  for i, place in ipairs(module.places) do
    if adapters[i] then
      local own, alpha = core._adapter_options(adapters[i])
      local b = adapters[i].b * (alpha / own / scale)
      below[i] = widened(b, shared and 0 or first, rank)
      first = first + own
    else
      below[i] = core.zeros(modules.weight(place):size(1), rank)
    end
  end
  return #above == 1 and above[1] or core.cat(above, 1), #below == 1 and below[1] or core.cat(below, 1), rank, scale
end

return modules
