-- A training run: its state, one step, and what happens every so many steps.
--
-- What a run is after a whole step stands in the fields that `commit` sets. Whatever ends a step early, Ctrl-C at
-- any place included, `settle` leaves the run as it was after the last whole step.
local attempt = require "gpt.support.attempt"
local checkpoint = require "gpt.train.checkpoint"
local core = require "gpt.core"
local evaluate = require "gpt.evaluate"
local generate = require "gpt.generate"
local loss = require "gpt.loss"
local Metrics = require "gpt.train.metrics"
local new_result = require "gpt.train.result"
local Progress = require "gpt.train.progress"
local Ranks = require "gpt.train.ranks"
local rates = require "gpt.train.rates"
local validate = require "gpt.support.validate"
local known_fields = require "gpt.support.known_fields"
local raise = require "gpt.support.raise"

local Run = {}
Run.__index = Run

local DATA_FIELDS = { "tokens", "windows", "context_length", "stride", "batch_size", "seed", "shuffle", "drop_last" }

local function finite(value)
  return value == value and math.abs(value) < math.huge
end

-- What decides which batch comes when.
local function order_of(settings)
  local order = { accumulate = settings.accumulate }
  if type(settings.data) == "table" then
    for _, name in ipairs(DATA_FIELDS) do order[name] = settings.data[name] end
  end
  return order
end

-- How many steps the optimizer made, or nil where it does not tell.
local function steps_of(optimizer)
  local ok, state = attempt(function() return optimizer:state() end)
  return ok and type(state) == "table" and math.tointeger(state.step) or nil
end

--- A run from settings as options.lua makes them.
function Run.new(settings)
  return setmetatable({
    settings = settings, model = settings.model, optimizer = settings.optimizer, steps = settings.steps,
    step = 0, position = 0, tokens = 0, losses = {}, evaluations = {}, lr = settings.optimizer.lr,
    first_step = 0, tokens_now = 0, seconds_before = 0, seconds = 0, started_at = core._now(),
    ranks = Ranks.new(settings),
  }, Run)
end

local function check_order(path, theirs, ours)
  for name, value in pairs(ours) do
    if theirs[name] ~= value then
      raise("gpt.train: resume: %s was made with %s = %s, and this run has %s: its data would not go on where it was",
        path, name, validate.show(theirs[name]), value)
    end
  end
end

local function check_random(path, text)
  local now = core._random_state()
  if not core._random_state(text) then raise("%s: metadata: random: not a state of the random numbers", path) end
  core._random_state(now)
end

--- Goes on where the last checkpoint of the directory was made; nothing where there is none.
function Run:resume()
  local path = checkpoint.last(self.settings.checkpoints)
  if not path then return end
  local about, losses = checkpoint.read(path, self.model, self.optimizer, function(about)
    check_order(path, about.order, order_of(self.settings))
    check_random(path, about.random)
  end)
  core._random_state(about.random)
  self.seed = about.seed
  self.step, self.position, self.tokens, self.losses = about.step, about.position, about.tokens, losses
  self.best, self.evaluations, self.seconds_before = about.best, about.evaluations, about.seconds
  self.first_step, self.saved, self.checkpoint = self.step, self.step, path
end

--- Opens what the run writes to.
function Run:begin()
  self.was_training = self.model.training
  if not self.was_training then self.model:train() end
  if self.settings.recompute ~= nil then
    self.recomputed = core._recomputes(self.model)
    self.model:recompute(self.settings.recompute)
  end
  self.seed = self.seed or self.ranks:new_seed()
  self.random, self.counted = core._random_state(), steps_of(self.optimizer)
  self.optimizer:zero_grad()
  local settings = self.settings
  self.ranks:listen()
  self:note_checkpoint()
  local leads = self.ranks:leads()
  self.progress = Progress.new(leads and settings.progress, self.steps, settings.log_every)
  if settings.metrics and leads then
    local groups = rates.differing(rates.of(self.optimizer))
    self.metrics = Metrics.open(settings.metrics, self.step, groups)
  end
  if self.step > 0 then self.progress:note("going on after step %d of %d", self.step, self.steps) end
end

-- This rank's batches of one step, and how many targets they have.
function Run:take_batches()
  local batches, total = {}, 0
  for i = 1, self.settings.accumulate do
    if self.ranks:takes(i) then
      local number = self.position + i
      local ids, targets = self.settings.batch(number)
      if ids == nil then raise("gpt.train: data: the function returned nil for batch %d", number) end
      local count = loss.count(targets)
      batches[#batches + 1] = { ids, targets, count, number }
      total = total + count
    end
  end
  return batches, total
end

-- How many targets the step has, on all ranks.
function Run:count_targets(own, step)
  local total, problem = self.ranks:begin_step(own, self.lr, step)
  self.common = problem ~= nil or total == 0
  if problem then raise("%s", problem) end
  if total == 0 then
    raise("gpt.train: data: all targets of step %d are masked (-1 or -100): there is nothing to learn from", step)
  end
  return total
end

local function backward_share(loss_value, share)
  if share == 1 then return loss_value:backward() end
  local part <close> = loss_value * share
  part:backward()
end

-- The last of the batches that has targets.
local function last_counted(batches)
  for i = #batches, 1, -1 do
    if batches[i][3] > 0 then return batches[i] end
  end
end

-- What a loss of the user's own has to return.
local function check_loss(value)
  if core.is_tensor(value) and value:numel() == 1 then return value end
  local came = core.is_tensor(value) and ("a tensor of %d numbers"):format(value:numel()) or validate.show(value)
  return raise("gpt.train: loss: the function has to return a tensor of one number, got %s", came)
end

-- The gradients of this rank's batches together, and their share of the mean loss.
function Run:backward(batches, total)
  local sum, loss_of, last = 0, self.settings.loss or loss.of, last_counted(batches)
  for _, batch in ipairs(batches) do
    if batch[3] > 0 then
      local share = batch[3] / total
      self.ranks:draw_for(self.seed, batch[4])
      local value <close> = check_loss(loss_of(self.model, batch[1], batch[2]))
      sum = sum + value:item() * share
      if not finite(sum) then return sum end
      if batch == last then self.ranks:before_last_backward() end
      backward_share(value, share)
    end
    if self.settings.frees_batches then
      batch[1]:free()
      batch[2]:free()
    end
  end
  return sum
end

-- Stops before the weights are touched.
function Run:refuse(what, value, step)
  self.broken, self.common = true, true -- all ranks see the same
  local kept = self.checkpoint and "; the last checkpoint is " .. self.checkpoint or ""
  raise("gpt.train: the %s is %s at step %d (lr %.3g): training stops, the weights are those of step %d%s", what,
    validate.show(value), step, self.lr, step - 1, kept)
end

function Run:rate_of(step)
  local lr = self.settings.schedule(step) or self.optimizer.lr
  if type(lr) == "number" and lr >= 0 and lr < math.huge then return lr end
  return raise("gpt.train: schedule: a finite number of at least 0 expected for step %d, got %s", step,
    validate.show(lr))
end

--- One step: gradients, then the optimizer.
function Run:one_step()
  local settings, step = self.settings, self.step + 1
  local batches, own = self:take_batches()
  self.lr = self:rate_of(step)
  local total = self:count_targets(own, step)
  local part = self:backward(batches, total)
  self.ranks:reduce()
  local mean = self.ranks:sums(part)
  if not finite(mean) then self:refuse("loss", mean, step) end
  local norm = self.ranks:clip(settings.clip or math.huge)
  if not finite(norm) then self:refuse("norm of the gradients", norm, step) end
  self.optimizer.lr = self.lr
  self.losses[step] = mean
  self.pending = {
    step = step, position = self.position + settings.accumulate, tokens = total, loss = mean, norm = norm,
  }
  self.optimizer:step()
  self.ranks:stepped()
  self:commit()
  self.optimizer:zero_grad()
end

-- The pending step is done.
function Run:commit()
  local done = self.pending
  self.random = core._random_state()
  self.step, self.position = done.step, done.position
  self.tokens, self.tokens_now = self.tokens + done.tokens, self.tokens_now + done.tokens
  self.norm, self.counted = done.norm, self.counted and self.counted + 1
  self.lrs = rates.of(self.optimizer)
  self.seconds = self.seconds_before + core._now() - self.started_at
  self.pending = nil
end

--- After an error: the run as it was after its last whole step. False where an optimizer that does not tell was
-- stopped half-way, so that nobody knows what the weights are.
function Run:settle()
  local whole = true
  if self.pending then
    local counted = steps_of(self.optimizer)
    if not counted or not self.counted then whole = false
    elseif self.step < self.pending.step and counted > self.counted then self:commit() end
  end
  for i = #self.losses, self.step + 1, -1 do self.losses[i] = nil end
  if self.random then core._random_state(self.random) end -- else it never began
  self.optimizer:zero_grad()
  return whole
end

local Event = {
  __index = known_fields.index("the event", nil, { "validation_loss", "grad_norm", "best" }),
  __tostring = core._printed.__tostring,
}

-- Calls a callback, on one rank; false asks for an end.
function Run:call(name, event)
  local callback = self.ranks:leads() and self.settings[name]
  if not callback then return end
  event.step, event.steps, event.model, event.optimizer = self.step, self.steps, self.model, self.optimizer
  if callback(setmetatable(event, Event)) == false then self.stopped = true end
end

-- What draws random numbers of its own must not change what training draws.
function Run:aside(fn)
  fn()
  core._random_state(self.random)
end

function Run:evaluate()
  local settings = self.settings
  local value
  self:aside(function()
    value = evaluate(self.model, settings.validation, { batches = settings.evaluate_batches, world = settings.world })
  end)
  local is_best = finite(value) and (not self.best or value < self.best.loss)
  if is_best then self.best = { step = self.step, loss = value } end
  self.evaluations[#self.evaluations + 1] = { step = self.step, loss = value }
  self.validation_loss = value
  self.progress:note("step %d: validation loss %.4f%s", self.step, value, is_best and ", the best so far" or "")
  if is_best and settings.checkpoints and self.ranks:leads() then
    checkpoint.write_best(settings.checkpoints, self.model, self.best)
  end
  self:call("on_evaluate", { loss = value, best = self.best, is_best = is_best })
end

-- A prompt and options for model:generate from the option sample.
local function sampling(sample)
  if type(sample) ~= "table" or sample.prompt == nil then return sample, { temperature = 0.8, max_new_tokens = 50 } end
  local opts = {}
  for key, value in pairs(sample) do opts[key] = value end
  opts.prompt = nil
  return sample.prompt, opts
end

function Run:sample()
  if not self.ranks:leads() then return end
  local prompt, opts = sampling(self.settings.sample)
  self:aside(function()
    local text = generate.generate(self.model, prompt, opts)
    local shown = type(text) == "table" and table.concat(text, " ") or tostring(text)
    self.progress:note("step %d: %s", self.step, shown)
    self:call("on_sample", { text = text })
  end)
end

--- Writes a checkpoint, unless this step has one.
function Run:save()
  if self.saved == self.step then return end
  local settings = self.settings
  local about = {
    step = self.step, position = self.position, tokens = self.tokens, seconds = self.seconds, random = self.random,
    best = self.best, seed = self.seed, evaluations = setmetatable(self.evaluations, core._json_array),
    order = order_of(settings),
  }
  self.checkpoint = self.ranks:save(checkpoint, settings.checkpoints,
    { model = self.model, optimizer = self.optimizer, losses = self.losses, about = about }, settings.keep)
  self.saved = self.step
  self:note_checkpoint()
  self:call("on_checkpoint", { file = self.checkpoint })
end

function Run:tell()
  local row = {
    step = self.step, loss = self.losses[self.step], lr = self.lr, lrs = self.lrs, grad_norm = self.norm,
    tokens = self.tokens, seconds = self.seconds, validation_loss = self.validation_loss,
  }
  self.validation_loss = nil
  local remark = self.metrics and self.metrics:write(row)
  if remark then self.progress:remark(remark) end
  self:call("on_step", row)
end

-- What a callback of one rank wants, or who ends the processes, all ranks do, after the same step.
function Run:heed()
  if not self.ranks.several then return end
  local told = core._signal_seen()
  self.stopped, told = self.ranks:any(self.stopped, told)
  if not told then return end
  self.common = true
  error("interrupted!", 0)
end

--- All steps that are left, and what comes between them.
function Run:loop()
  local settings = self.settings
  local function due(every, thing)
    local last = self.step == self.steps or self.stopped
    return thing and (last or every and self.step % every == 0)
  end
  while self.step < self.steps and not self.stopped do
    self:one_step()
    self.progress:step(self)
    if due(settings.evaluate_every, settings.validation) then self:evaluate() end
    self:tell()
    self:heed()
    if due(settings.sample_every, settings.sample) then self:sample() end
    if due(settings.checkpoint_every, settings.checkpoints) then self:save() end
  end
end

-- What is said at once where the processes are asked to end.
function Run:note_checkpoint()
  local last = self.checkpoint and "the last checkpoint is " .. self.checkpoint or "there is no checkpoint yet"
  self.ranks:note(("\ngpt.train: rank %d is asked to end, from outside or because another rank ended: %s\n"):format(
    self.ranks.rank, last))
end

--- Puts away what begin opened.
function Run:finish()
  self.ranks:end_listening()
  if self.progress then self.progress:finish() end
  if self.metrics then self.metrics:close() end
  if self.was_training == false then self.model:eval() end
  if self.recomputed ~= nil then self.model:recompute(self.recomputed) end
end

function Run:result()
  return new_result(self)
end

return Run
