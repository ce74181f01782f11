-- What the ranks of a run do together (gpt.world); one process alone does none of it. Every rank makes the same calls
-- in the same order.
--
-- A step takes its batches in turn: number k is rank (k - 1) mod size's. Gradients are added up in shares, one for each
-- rank, which steps it and sends the parameters to all (core/train/reducer.h). What a rank needs to know of the others
-- it gets as numbers, and adds them up in the order of the ranks.
local core = require "gpt.core"
local json = require "gpt.support.json"
local neutral = require "gpt.support.neutral"

local Ranks = {}
Ranks.__index = Ranks

local ODD = 0x9E3779B97F4A7C15 -- spreads batch numbers over all seeds

--- For a run with settings as options.lua makes them.
function Ranks.new(settings)
  local world = settings.world
  local several = world ~= nil and world.size > 1
  return setmetatable({
    world = world, several = several, rank = world and world.rank or 0, size = world and world.size or 1,
    parameters = settings.parameters, reducer = several and core._reducer(world, settings.parameters) or nil,
  }, Ranks)
end

--- From here on each rank has an optimizer's moments for its share of the parameters, where it is one of the core's.
function Ranks:share(optimizer)
  self.shares = self.several and self.reducer:share(optimizer)
end

-- The shares of all ranks as one tensor: its shape, and a function that makes it (nil where only rank 0 gets it).
function Ranks:whole(everywhere)
  return function(share)
    local shape = core._world_whole_shape(self.world, share)
    return shape, function() return core._world_whole(self.world, share, shape, everywhere) end
  end
end

--- Gives an optimizer all its moments back, on every rank.
function Ranks:unshare(optimizer)
  if not self.shares then return end
  local state, whole, names = optimizer:state(), self:whole(true), {}
  for name in pairs(state.tensors) do names[#names + 1] = name end
  neutral.sort(names)
  for _, name in ipairs(names) do
    local _, make = whole(state.tensors[name])
    state.tensors[name] = make()
  end
  self.reducer:unshare(optimizer)
  optimizer:load_state(state)
  self.shares = nil
end

--- Whether this process writes files and tells of the run.
function Ranks:leads() return self.rank == 0 end

--- Whether batch k of a step is this rank's.
function Ranks:takes(k) return (k - 1) % self.size == self.rank end

--- At the beginning of a step: how many targets all ranks have. Raises, on all, where their learning rates differ.
function Ranks:begin_step(targets, lr, step)
  if not self.several then return targets end
  local all, total = core._world_numbers(self.world, { targets, lr }), 0
  for r, numbers in ipairs(all) do
    total = total + math.tointeger(numbers[1])
    if numbers[2] ~= all[1][2] then
      return nil, neutral.format("gpt.train: schedule: rank %d has the rate %.9g for step %d, rank 0 has %.9g", r - 1,
        numbers[2], step, all[1][2])
    end
  end
  return total
end

--- Lists of numbers of all ranks, added up.
function Ranks:sums(...)
  local sums = { ... }
  if not self.several then return table.unpack(sums) end
  for i = 1, #sums do sums[i] = 0.0 end
  for _, numbers in ipairs(core._world_numbers(self.world, { ... })) do
    for i, number in ipairs(numbers) do sums[i] = sums[i] + number end
  end
  return table.unpack(sums)
end

--- For each of several truth values, whether it is true on any rank.
function Ranks:any(...)
  local flags = table.pack(...)
  for i = 1, flags.n do flags[i] = flags[i] and 1 or 0 end
  local sums = { self:sums(table.unpack(flags)) }
  for i, sum in ipairs(sums) do sums[i] = sum > 0 end
  return table.unpack(sums)
end

--- Waits for all ranks.
function Ranks:wait()
  if self.several then self.world:barrier() end
end

--- With a world, random numbers depend on the batch, not on who takes it: dropout is the same for any number of ranks.
-- @param seed the run's: the same on all ranks
-- @param number the batch, from the beginning of the run
function Ranks:draw_for(seed, number)
  if self.world then core.seed((seed ~ number * ODD) & math.maxinteger) end
end

--- A seed for a run, from rank 0's random numbers; nil where nobody needs one.
function Ranks:new_seed()
  if not self.world then return nil end
  local seed = core.randint(0, 2 ^ 53 // 1 | 0, { 1 })
  return self.world:broadcast(seed):item()
end

--- The next backward is the last of this rank's step.
function Ranks:before_last_backward()
  if self.reducer then self.reducer:watch() end
end

--- After the backward of all batches: gradients are those of all ranks together.
function Ranks:reduce()
  if self.reducer then self.reducer:finish() end
end

local function norm_of(squares)
  local sum = 0.0
  for _, square in ipairs(squares) do sum = sum + square end
  return math.sqrt(sum)
end

--- Clips all gradients together; returns their norm before. An optimizer that is not the core's steps whole gradients.
function Ranks:clip(max)
  if not self.reducer then return core.clip_grad_norm(self.parameters, max) end
  local norm = norm_of(self.reducer:squares())
  local factor = max / (norm + 1e-6)
  if factor < 1 then self.reducer:scale(factor) end
  if not self.shares then self.reducer:gather "gradients" end
  return norm
end

--- After the optimizer's step: every rank has all parameters.
function Ranks:stepped()
  if self.shares then self.reducer:gather "parameters" end
end

-- How a fact of a rank's differs from rank 0's; nil where it does not, or where another one says as much.
local function difference(name, first, other)
  local digest = name:find "^the " ~= nil
  if first == other or digest and not (first and other) then return nil end
  if digest then return name .. " are others" end
  if not first then return ("%s is %s, which rank 0 does not have"):format(name, other) end
  if not other then return ("%s is not there, and rank 0 has %s"):format(name, first) end
  return ("%s is %s, not %s"):format(name, other, first)
end

-- How the facts of a rank differ from rank 0's.
local function differences(first, other)
  local list, names = {}, {}
  for name in pairs(first) do names[#names + 1] = name end
  for name in pairs(other) do
    if first[name] == nil then names[#names + 1] = name end
  end
  neutral.sort(names)
  for _, name in ipairs(names) do list[#list + 1] = difference(name, first[name], other[name]) end
  return list
end

local MOST_DIFFERENCES = 4

--- Raises on all ranks, in the same words, where a rank's facts differ from rank 0's.
-- @param facts texts by name; of those whose name begins with "the " the message does not say what they are
-- @param advice what to do, behind the message
function Ranks:agree(facts, advice)
  if not self.several then return end
  local texts = core._world_texts(self.world, json.encode(facts))
  local first = json.decode(texts[1], "rank 0")
  for r = 2, #texts do
    local list = differences(first, json.decode(texts[r], "rank " .. r - 1))
    local more = #list - MOST_DIFFERENCES
    if more > 0 then
      list = { table.concat(list, "; ", 1, MOST_DIFFERENCES), ("and %d more"):format(more) }
    end
    if #list > 0 then
      self:wait() -- so that no rank is ended before it could say so
      local text = table.concat(list, "; ") .. (advice or "")
      core._raise(("gpt.train: rank %d differs from rank 0: %s"):format(r - 1, text))
    end
  end
end

--- Writes a checkpoint on one rank; all know its name.
function Ranks:save(checkpoint, dir, run, keep)
  local whole, path = self.shares and self:whole(false), checkpoint.path(dir, run.about.step)
  if self:leads() then checkpoint.write(dir, run, keep, whole)
  elseif whole then checkpoint.give(run, whole) end
  self:wait()
  return path
end

--- While a run of several ranks goes on, signals that ask the process to end are noted: all ranks end after the same
-- step. `note`, on those that tell of it, is what the first one writes at once, for the process may have little time.
function Ranks:listen()
  self.listens = self.several and core._watch_signals()
end

function Ranks:note(text)
  if self.listens and self.rank < 2 then core._signal_note(text) end
end

function Ranks:end_listening()
  if not self.listens then return end
  core._unwatch_signals()
  core._signal_note()
  self.listens = nil
end

--- Ends the processes of all ranks, for a reason that the others do not know of.
function Ranks:abort(message)
  if io then io.stderr:write(("gpt.train: rank %d: %s\n"):format(self.rank, message)) end
  core._world_abort(self.world)
end

return Ranks
