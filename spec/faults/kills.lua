-- Saves in a process that is killed at random moments: what is there is always one save or the other, whole, and the next
-- save leaves nothing of the killed one.
local cases = require "spec.faults.cases"
local checkpoint = require "gpt.train.checkpoint"
local core = require "gpt.core"
local faults = require "faults"
local files = require "spec.support.files"
local gpt = require "gpt"

local kills = {}

local CONFIG = { vocab_size = 270, context_length = 8, emb_dim = 16, n_heads = 2, n_layers = 2, drop_rate = 0, qkv_bias = true }

local function new_model(seed)
  gpt.seed(seed)
  return gpt.Model(CONFIG)
end

-- All that is in a directory, as a text; without `all` but for the temporaries of killed saves of single files, which stay
-- until the next save of the same file.
local function contents(dir, all)
  local found = {}
  for _, name in ipairs(files.list(dir)) do
    if all or not name:find "^%..*%.gpt%-%x+$" then found[name] = files.read(dir .. "/" .. name) end
  end
  return cases.digest(found)
end

-- Two saves that replace each other: the n-th is the first of them where n is odd. `found` knows what they leave.
local function alternating(dir, save, load)
  local left = {}
  for n = 1, 2 do
    save(dir, n)
    left[contents(dir, true)] = n
  end
  return { save = function(n) save(dir, (n - 1) % 2 + 1) end, found = function(all)
    load(dir) -- which finishes what can be finished
    return left[contents(dir, all)]
  end }
end

-- Checkpoints of one step after the other, each of which replaces the one before.
local function rising(dir)
  local model = new_model(1)
  local optimizer, first = gpt.optim.AdamW(model), 0
  local function save(n)
    local step = first + n
    local losses = {}
    for i = 1, step do losses[i] = i end
    checkpoint.write(dir, { model = model, optimizer = optimizer, losses = losses, about = { step = step } }, 1)
  end
  save(1)
  return { save = save, found = function()
    checkpoint.tidy(dir)
    local name = checkpoint.last(dir):match "[^/]+$"
    first = tonumber(name:match "%d+") - 1
    local whole = gpt.read_safetensors(dir .. "/" .. name).tensors.losses:numel() == first + 1
    local names = files.list(dir)
    return whole and #names == 3 and names[3] == name and (first + 1) % 2 + 1 or nil
  end }
end

local KINDS = {
  directory = function(dir)
    local models = { new_model(1), new_model(2) }
    for i, text in ipairs { "the cat sat ", "a dog and a log " } do
      models[i].tokenizer = gpt.train_tokenizer({ text = text:rep(9) }, { vocab_size = 262 })
    end
    return alternating(dir, function(place, i) models[i]:save(place) end, gpt.load)
  end,
  gguf = function(dir)
    local models, name = { new_model(1), new_model(2) }, dir .. "/model.gguf"
    return alternating(dir, function(_, i) models[i]:save(name) end, function() gpt.load(name) end)
  end,
  adapter = function(dir)
    local models = { gpt.lora(new_model(1), { rank = 2 }), gpt.lora(new_model(1), { rank = 3 }) }
    return alternating(dir, function(place, i) models[i]:save_adapter(place) end,
      function(place) gpt.load_adapter(new_model(1), place) end)
  end,
  checkpoint = rising,
}

kills.kinds = { "directory", "gguf", "adapter", "checkpoint" }

-- How long a save takes, in microseconds.
local function time_of(case)
  local began = core._now()
  for n = 1, 4 do case.save(n) end
  return (core._now() - began) / 4 * 1e6
end

-- Kills a process that saves on and on, after so many microseconds. Returns which save it left.
local function try(case, place, time)
  local killed = faults.killed(time, function()
    for n = 2, 1e9 do case.save(n) end
  end)
  if not killed then error(place .. "\nthe process ended by itself", 0) end
  local found = case.found()
  if not found then error(place .. "\nneither one save nor the other", 0) end
  case.save(3)
  if not case.found(true) then error(place .. "\nthe next save leaves more than it has", 0) end
  return found
end

--- Kills saves of a kind so many times, at moments spread over the first few.
-- @return a table of `tries`, and how often each of two saves was there
function kills.run(kind, times)
  local dir = files.directory "/dev/shm"
  files.write(dir .. "/notes.txt", "mine")
  local case, tally = KINDS[kind](dir), { tries = 0, 0, 0 }
  local most = math.max(2000, 6 * time_of(case))
  assert(case.found(true))
  for n = 1, times do
    local time = n * 0.6180339887 % 1 * most // 1
    local found = try(case, ("kills %s %d, after %d microseconds"):format(kind, n, time), time)
    tally.tries = tally.tries + 1
    tally[found] = tally[found] + 1
  end
  files.remove(dir)
  return tally
end

return kills
