--- gpt.evaluate: the loss over a dataset.
-- @submodule gpt
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local loss = require "gpt.loss"
local subject = require "gpt.generate.subject"
local validate = require "gpt.support.validate"

local FIELDS = { { "batches", validate.whole(1), optional = true }, { "world", validate.world, optional = true } }

-- The numbers of all ranks, added up in their order.
local function add_up(world, sum, count)
  if not world or world.size == 1 then return sum, count end
  local all = core._world_numbers(world, { sum, count })
  sum, count = 0.0, 0
  for _, numbers in ipairs(all) do sum, count = sum + numbers[1], count + math.tointeger(numbers[2]) end
  return sum, count
end

-- Ranks take batches in turn.
local function mean_loss(model, data, most, world)
  local sum, count, batches = 0.0, 0, 0
  for ids, targets in data:batches { epoch = 1 } do
    local n = loss.count(targets)
    if n > 0 and (not world or batches % world.size == world.rank) then
      local value <close> = loss.of(model, ids, targets)
      sum = sum + value:item() * n
      count = count + n
    end
    batches = batches + 1
    if batches == most then break end
  end
  sum, count = add_up(world, sum, count)
  if count == 0 then core._raise "gpt.evaluate: no target counts: all are masked (-1 or -100), or there is no batch" end
  return sum / count, count
end

--- The mean loss of a model over data, without dropout and without a graph, whatever the model's mode. Every target
-- counts the same, and every call uses the same batches. math.exp of it is the perplexity.
-- @function evaluate
-- @param model a model, or any layer or function from ids to logits
-- @param data a dataset; or a table with a function `batches`, which returns an iterator of ids and targets (a target
-- of -1 or -100 does not count)
-- @tparam[opt] table options `batches`: at most this many batches; `world`: what `gpt.world` returned, whose ranks take
-- the batches in turn, and all get the same mean
-- @treturn number mean cross-entropy per token, in nats
-- @treturn integer how many tokens that was
-- @usage print(("validation loss %.3f"):format(gpt.evaluate(model, validation)))
return function(model, data, options)
  local given, problems = validate.read(validate.options("gpt.evaluate", options), FIELDS)
  validate.raise("gpt.evaluate", problems)
  if not subject.callable(model) then
    core._raise("gpt.evaluate: a model, or a layer or function from ids to logits, expected, got "
      .. validate.show(model))
  end
  local ok, batches = attempt(function() return data.batches end)
  if not ok or type(batches) ~= "function" then
    core._raise("gpt.evaluate: a dataset (gpt.dataset makes one) expected, got " .. validate.show(data))
  end
  if type(data) == "table" and rawget(data, "classes") then
    core._raise "gpt.evaluate: data with a target for each token expected: examples with labels take a loop of your own"
  end
  local sum, count = core._infer(mean_loss, model, data, given.batches, given.world)
  return sum, count
end
