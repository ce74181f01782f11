--- What happened inside a layer.
-- @submodule gpt
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local known_fields = require "gpt.support.known_fields"

local Entry = {}

function Entry:__tostring()
  local text = ("%s: output %s"):format(rawget(self, "kind"), name_list.shape(rawget(self, "output"):shape()))
  local weights = rawget(self, "weights")
  return weights and ("%s, weights %s"):format(text, name_list.shape(weights:shape())) or text
end

Entry.__index = known_fields.index("a trace's entry", nil, { "weights" })

-- A trace keeps its entries under their paths; the order of the paths is in a table of its own.
local ORDERS = setmetatable({}, { __mode = "k" })

local Trace = { __name = "gpt.Trace" }

function Trace:__len() return #ORDERS[self] end

function Trace:__pairs()
  local order, i = ORDERS[self], 0
  return function()
    i = i + 1
    local path = order[i]
    if path then return path, rawget(self, path) end
  end
end

function Trace:__index(path)
  if type(path) ~= "string" then core._raise(("a path expected in trace[...], got a %s"):format(type(path))) end
  local near = core._suggest(path, ORDERS[self])
  core._raise(("the trace has nothing at '%s'%s"):format(path, near and ("; did you mean '%s'?"):format(near) or
    ": print it to see its paths"))
end

function Trace:__tostring()
  local lines, widest = { ("Trace of %d layers"):format(#self) }, 0
  for _, path in ipairs(ORDERS[self]) do widest = math.max(widest, #path) end
  for path, entry in pairs(self) do
    lines[#lines + 1] = ("  [%s]%s  %s"):format(('"%s"'):format(path), (" "):rep(widest - #path), tostring(entry))
  end
  return table.concat(lines, "\n")
end

-- One row of ids, or one row of tokens without a batch: then the weights come without a batch too.
local function is_single(layer, x)
  local is_model = core._is_model(layer)
  if core.is_tensor(x) then return x:dim() == (is_model and 1 or 2) end
  return is_model and type(x[1]) ~= "table"
end

--- Runs a layer once and keeps the output of every layer in it, and the weights of every attention.
--
-- Entries have the layers' paths: `trace["blocks.1.attention"]`; the layer itself is `trace[""]`. An entry has `kind`,
-- `layer`, `output` (the tensor that the layer returned), and for a MultiHeadAttention `weights`, [heads, tokens,
-- tokens], or for a batch [batch, heads, tokens, tokens]: row i says how much token i takes from each token; a row's
-- sum is 1, and nothing comes from later tokens. `pairs(trace)` iterates over all paths in the order of the pass. The
-- second run of a layer in the pass has `#2` after its path, and so on. Layers that a layer written in Lua calls are
-- kept too, if they are its parts.
--
-- As in generate, there is no dropout and no graph, whatever the layer's mode.
-- @function Layer:trace
-- @tparam Tensor|table x the argument of the layer: for a Model, token ids
-- @treturn table the trace; printed, it lists paths, kinds and shapes
-- @usage
-- local model = gpt.Model(gpt.config("gpt2-small", { vocab_size = 10, emb_dim = 8, n_heads = 2 }))
-- local trace = model:trace { 1, 2, 3 }
-- print(trace)
-- print(trace["blocks.2.attention"].weights[1])
return function(layer, x)
  if type(layer) ~= "userdata" then
    core._raise(("trace: a layer expected, got %s: call it as layer:trace(x)"):format(type(layer)))
  end
  if not core.is_tensor(x) and type(x) ~= "table" then
    core._raise(("trace: a tensor, or token ids, expected, got %s"):format(x == nil and "nothing" or type(x)))
  end
  local list = core._trace(layer, x)
  local trace, order, single = {}, {}, is_single(layer, x)
  for i, found in ipairs(list) do
    local weights = found.weights
    if weights and single then weights = weights[1] end
    local entry = { kind = found.kind, layer = found.layer, output = found.output, weights = weights }
    trace[found.path] = setmetatable(entry, Entry)
    order[i] = found.path
  end
  ORDERS[trace] = order
  return setmetatable(trace, Trace)
end
