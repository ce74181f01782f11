-- Where Linear layers, and LoRA layers in their stead, stand in a tree.
local core = require "gpt.core"

local places = {}

function places.is_lora(layer) return core._kind(layer) == "LoRA" end

-- The adapter of that name, or nil.
function places.adapter(layer, name)
  if not places.is_lora(layer) then return nil end
  for own, child in layer:children() do
    if own == name then return child end
  end
end

-- The names of a layer's adapters.
function places.adapters(layer)
  local names = {}
  if not places.is_lora(layer) then return names end
  for name, child in layer:children() do
    if core._adapter_options(child) then names[#names + 1] = name end
  end
  return names
end

local function walk(layer, prefix, list, seen)
  for name, child in layer:children() do
    local path, kind = prefix .. name, core._kind(child)
    if kind == "Linear" or kind == "LoRA" then
      list[#list + 1] = { path = path, layer = child }
    elseif not seen[child] then
      seen[child] = true
      walk(child, path .. ".", list, seen)
    end
  end
  return list
end

-- All places: `path`, and the `layer` there. A layer that stands in several is listed for each.
function places.find(layer)
  return walk(layer, "", {}, { [layer] = true })
end

local function is_pattern(target) return target:find "[%^%$%*%+%?%[%]%%]" ~= nil end

-- Does a target mean the place at that path?
function places.matches(path, target)
  if target == "all" then return path ~= "head" end
  if is_pattern(target) then return path:find(target) ~= nil end
  return path == target or path:sub(-#target - 1) == "." .. target
end

-- What the places are called, each name once.
function places.names(list)
  local names, seen = {}, {}
  for _, place in ipairs(list) do
    local name = place.path:match "[^.]+$"
    if not seen[name] then names[#names + 1], seen[name] = name, true end
  end
  return names
end

return places
