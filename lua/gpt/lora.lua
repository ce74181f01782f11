--- Low-rank adapters (LoRA): gpt.lora and the methods of models that have them.
-- @submodule gpt
local core = require "gpt.core"
local dtypes = require "gpt.support.dtypes"
local methods = require "gpt.support.methods"
local name_list = require "gpt.support.name_list"
local places = require "gpt.lora.places"
local validate = require "gpt.support.validate"

local lora = {}

local function name_rule(value)
  if type(value) == "string" and value:find "^[%a_][%w_-]*$" and value ~= "base" then return value end
  return nil, 'a name of letters, digits, "_" and "-", other than "base",'
end

local function targets_rule(value)
  if type(value) == "string" then return { value } end
  local fits = type(value) == "table" and #value > 0
  for _, target in ipairs(fits and value or {}) do fits = fits and type(target) == "string" end
  if fits then return value end
  return nil, "a name, or a list of names or patterns,"
end

local OPTIONS = {
  { "rank", validate.whole(1), optional = true }, { "alpha", validate.positive(), optional = true },
  { "targets", targets_rule, optional = true }, { "dropout", validate.rate, optional = true },
  { "name", name_rule, optional = true },
}

local function read_options(options)
  local values, problems = validate.read(validate.options("gpt.lora", options), OPTIONS)
  validate.raise("gpt.lora", problems)
  values.rank = values.rank or 8
  values.alpha = values.alpha or 2 * values.rank
  values.targets, values.dropout = values.targets or { "query", "value" }, values.dropout or 0
  values.name = values.name or "default"
  return values
end

local function check_layer(who, layer)
  if core._typename(layer) == "gpt.Layer" then return end
  core._raise(("%s: a model or another layer expected, got %s"):format(who, validate.show(layer)))
end

-- The places that the targets name; every target must name one.
local function find_targets(layer, targets)
  local all, chosen = places.find(layer), {}
  if #all == 0 then
    core._raise(("gpt.lora: there is no Linear layer in a %s; a layer whose parts are Linear layers expected"):format(
      core._kind(layer)))
  end
  for _, target in ipairs(targets) do
    local before = #chosen
    for _, place in ipairs(all) do
      if places.matches(place.path, target) then chosen[#chosen + 1] = place end
    end
    if #chosen == before then
      core._raise(("gpt.lora: targets: no Linear layer is called %s; there are %s"):format(validate.show(target),
        name_list.line(places.names(all))))
    end
  end
  return chosen
end

-- A name for a new adapter: well formed, and not taken.
function lora.check_new_name(who, layer, name)
  local fits, expected = name_rule(name)
  if not fits then core._raise(("%s: name: %s expected, got %s"):format(who, expected, validate.show(name))) end
  for _, each in ipairs(lora.adapters(layer)) do
    if each == name then
      core._raise(('%s: there is an adapter "%s" already; give the new one another name'):format(who, name))
    end
  end
  return name
end

-- What replaces the layer at a place.
local function replacing(root, place, with)
  local above, name = place.path:match "^(.*)%.([^.]+)$"
  return { above and root:find(above) or root, name or place.path, with }
end

-- Puts an adapter at each of the places, which become LoRA layers where they are none, and uses it. All is made first,
-- and put in place at once: a failure changes nothing.
-- @tparam Layer layer the whole
-- @tparam {table,...} chosen places
-- @tparam string name the adapter's
-- @func options_of returns rank, alpha, dropout and whether to draw, for a place
-- @func[opt] fill called with the adapters, one for each place, to set their parameters
function lora.add(layer, chosen, name, options_of, fill)
  local wrapped, made, adapters, changes = {}, {}, {}, {}
  for i, place in ipairs(chosen) do
    local own = wrapped[place.layer] or places.is_lora(place.layer) and place.layer or core._lora(place.layer)
    wrapped[place.layer] = own
    if not made[own] then
      made[own] = core._adapter(own, options_of(place))
      changes[#changes + 1] = { own, name, made[own] }
    end
    adapters[i] = made[own]
    if own ~= place.layer then changes[#changes + 1] = replacing(layer, place, own) end
  end
  if fill then fill(adapters) end
  core._put_adapters(layer, name, changes)
end

--- Adds a low-rank adapter to Linear layers of a model, and freezes all else (Hu et al., "LoRA: Low-Rank Adaptation of
-- Large Language Models", 2021).
--
-- A target computes base(x) + alpha / rank * b(a(dropout(x))), where a is [rank, inputs] and b, which begins as zeros,
-- [outputs, rank]: at first the model computes what it did. Its weights may have any dtype, so adapters train over
-- quantised weights too. A target becomes a layer of kind LoRA with the parts `base`, the layer as it was, and the
-- adapter under its name, whose parameters are `a` and `b`. `model:save_adapter` writes them alone, and
-- `model:merge_lora` adds them to the weights.
--
-- Several adapters may stand beside each other; the last one made or loaded is in use, until `model:use_adapter` says
-- otherwise.
-- @function lora
-- @tparam Layer model or any other layer with Linear layers in it
-- @tparam[opt] table options `rank` (8); `alpha` (2 x rank); `targets` ({"query", "value"}): ends of paths, such as
-- "query", "feed_forward.expand" or "blocks.1.attention.output", Lua patterns for whole paths, or "all" for every
-- Linear but a model's head; `dropout` (0); `name` ("default")
-- @treturn Layer the model itself
-- @raise if a target names no Linear layer, or if one has an adapter of that name
-- @usage local model = gpt.Model(gpt.config("gpt2-small", { n_layers = 2, drop_rate = 0 }))
-- gpt.lora(model, { rank = 4, targets = { "query", "value", "feed_forward.expand" } })
-- print(model.blocks[1].attention.query)
function lora.lora(model, options)
  check_layer("gpt.lora", model)
  local values = read_options(options)
  local chosen = find_targets(model, values.targets)
  lora.check_new_name("gpt.lora", model, values.name)
  lora.add(model, chosen, values.name, function() return values.rank, values.alpha, values.dropout, true end)
  return model
end

--- The names of the adapters, and the one in use.
-- @function Layer:adapters
-- @treturn {string,...} in the order in which they were made
-- @treturn string|nil the name of the one in use
-- @usage print(table.concat(gpt.lora(model):adapters(), ", "))
function lora.adapters(layer)
  check_layer("adapters", layer)
  local names, seen, active = {}, {}, nil
  for _, place in ipairs(places.find(layer)) do
    for _, name in ipairs(places.adapters(place.layer)) do
      if not seen[name] then names[#names + 1], seen[name] = name, true end
    end
    active = active or places.is_lora(place.layer) and core._active_adapter(place.layer) or nil
  end
  return names, active
end

--- Chooses the adapter that is in use; nil: none, the model as it was. Sessions begin anew.
-- @function Layer:use_adapter
-- @tparam[opt] string name
-- @treturn Layer the layer itself
-- @usage gpt.lora(model, { name = "poems" })
-- model:use_adapter(nil)
-- model:use_adapter "poems"
function lora.use_adapter(layer, name)
  local names = lora.adapters(layer)
  local known = name == nil
  for _, each in ipairs(names) do known = known or each == name end
  if not known then
    local near = type(name) == "string" and core._suggest(name, names)
    core._raise(("use_adapter: there is no adapter %s%s; there %s"):format(validate.show(name),
      near and (", did you mean %s?"):format(validate.show(near)) or "",
      #names == 0 and "are none" or "is " .. name_list.line(names)))
  end
  core._use_adapter(layer, name)
  return layer
end

-- What a Linear's weight is with the adapter in it.
local function merged_weight(place, adapter)
  local weight, rank, alpha = place.layer.base.weight, core._adapter_options(adapter)
  return core.no_grad(function()
    local change <close> = adapter.b:matmul(adapter.a)
    local scaled <close> = change * (alpha / rank)
    local floats <close> = weight:float()
    local sum = floats + scaled
    return weight:dtype() == "f32" and sum or sum:to(weight:dtype())
  end)
end

local function check_mergeable(place)
  local dtype = place.layer.base.weight:dtype()
  if dtypes.by_name[dtype].writable then return end
  core._raise(('merge_lora: %s is %s, which cannot be written; model:to "q8_0" converts the weights first'):format(
    place.path, dtype))
end

--- Adds the adapter in use to the weights, in their dtypes, and takes all adapters away: the model is then as any
-- other. Quantised weights round the sum.
-- @function Layer:merge_lora
-- @treturn Layer the layer itself
-- @raise if no adapter is in use, or if a weight has a type that is only read (q4_k, q5_k, q6_k)
-- @usage gpt.lora(model)
-- model:merge_lora():save "my-gpt2"
function lora.merge_lora(layer)
  local names, active = lora.adapters(layer)
  if not active then
    core._raise("merge_lora: " .. (#names == 0 and "there is no adapter; gpt.lora makes one"
      or "no adapter is in use; layer:use_adapter(name) chooses one of " .. name_list.line(names)))
  end
  local merging, changes, merged = {}, {}, {}
  for _, place in ipairs(places.find(layer)) do
    if places.is_lora(place.layer) then merging[#merging + 1] = place end
  end
  for _, place in ipairs(merging) do check_mergeable(place) end
  for _, place in ipairs(merging) do
    local adapter, base = places.adapter(place.layer, active), place.layer.base
    if adapter and not merged[place.layer] then
      changes[#changes + 1] = { base, "weight", merged_weight(place, adapter) }
    end
    merged[place.layer] = true
    changes[#changes + 1] = replacing(layer, place, base)
  end
  core._exchange(changes)
  return layer
end

for _, name in ipairs { "adapters", "use_adapter", "merge_lora" } do
  core._layer_methods[name] = methods.of_layers(name, lora[name])
end

return lora
