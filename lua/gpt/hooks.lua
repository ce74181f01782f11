--- Hooks: functions that see what layers return, and may change it.
-- @submodule gpt
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"
local validate = require "gpt.support.validate"

local hooks = {}

local function is_callable(value)
  local meta = type(value) ~= "function" and getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and type(meta.__call) == "function"
end

local function check(who, given)
  if type(given) ~= "table" then
    core._raise(("%s: hooks: a table of functions by path expected, got %s"):format(who, validate.show(given)))
  end
  local paths = {}
  for path, fn in pairs(given) do
    if type(path) ~= "string" then
      core._raise(("%s: hooks: the path of a layer expected, got %s"):format(who, validate.show(path)))
    end
    if not is_callable(fn) then
      core._raise(("%s: hooks: a function expected for %q, got %s"):format(who, path, validate.show(fn)))
    end
    paths[#paths + 1] = path
  end
  neutral.sort(paths)
  return paths
end

-- A table of functions by path, as the core takes it; nil for nil.
-- @string who begins messages
-- @tparam Layer layer
-- @tparam[opt] table given
function hooks.make(who, layer, given)
  if given == nil then return nil end
  local paths, layers, functions = check(who, given), {}, {}
  for i, path in ipairs(paths) do layers[i], functions[i] = layer:find(path), given[path] end
  return core._hooks(layers, functions)
end

--- Calls a layer with hooks: functions that see, change or replace what the layers at some paths return, in this one
-- pass. (`model:session` and `model:generate` take `hooks` too.) Gradients flow through what hooks return.
--
-- A hook is called as `hook(output, pass)`, each time its layer has run. If it returns a tensor, the pass continues
-- with that; if nothing, with the output, which the hook may also have changed in place. `pass.positions` tells which
-- tokens the rows belong to. Layers that the hook calls itself are not hooked. In generation with a cache, a pass has
-- only the new tokens, and at the end (`final_norm`, `head`) only those whose logits are needed. `""` is the path of
-- the layer itself.
-- @function Layer:run
-- @tparam Tensor|table x the argument of the layer: for a Model, token ids
-- @tparam table hooks functions by path
-- @treturn Tensor what the layer returns
-- @usage
-- local logits = model:run({ 3, 1, 2 }, {
--   ["blocks.1.attention"] = function(output, pass) print(pass.positions, output) end,
--   ["blocks.1.feed_forward"] = function(output) return output * 0 end,
-- })
function hooks.run(layer, x, given)
  if core._typename(layer) ~= "gpt.Layer" then
    core._raise(("run: a layer expected, got %s: call it as layer:run(x, hooks)"):format(validate.show(layer)))
  end
  return core._run(layer, x, hooks.make("run", layer, given or {}))
end

core._set_hook_maker(hooks.make)

return hooks
