-- What datasets of every kind do alike. A dataset has `n_batches` of `batch_size` items each, an order by `seed` and
-- epoch (`shuffle`), the `epoch` that was begun last, and a method `batch`.
local core = require "gpt.core"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local batches = {}

local POSITION = {
  { "epoch", validate.whole(1), optional = true },
  { "first", validate.whole(1), optional = true },
}

--- The items of one batch of an epoch, as places from 0 among `count`.
function batches.places(data, count, epoch, i)
  if math.type(epoch) ~= "integer" or epoch < 1 then
    raise("batch: epoch: a whole number of at least 1 expected, got %s", validate.show(epoch))
  end
  if math.type(i) ~= "integer" or i < 1 or i > data.n_batches then
    raise("batch: a number from 1 to %d expected, got %s", data.n_batches, validate.show(i))
  end
  local list, size = {}, data.batch_size
  for at = (i - 1) * size, math.min(i * size, count) - 1 do
    list[#list + 1] = data.shuffle and core._shuffled(at, count, data.seed, epoch) or at
  end
  return list
end

--- The method `batches`: an iterator over an epoch, the next one or the one that position names.
function batches.iterate(data, position)
  if position ~= nil and type(position) ~= "table" then
    raise("batches: a table { epoch = n, first = n } expected, got %s", validate.show(position))
  end
  local given, problems = validate.read(position or {}, POSITION)
  validate.raise("batches", problems)
  if not given.epoch then data.epoch = data.epoch + 1 end
  local epoch, i = given.epoch or data.epoch, (given.first or 1) - 1
  return function()
    i = i + 1
    if i > data.n_batches then return nil end
    return data:batch(epoch, i)
  end
end

--- The share that `split` takes: 0.9 where none is given.
function batches.share(share)
  share = share == nil and 0.9 or share
  if type(share) == "number" and share > 0 and share < 1 then return share end
  return raise("split: a share above 0 and below 1 expected, got %s", validate.show(share))
end

return batches
