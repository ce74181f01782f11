-- What gpt.train returns.
local printed = require "gpt.support.printed"
local clock = require("gpt.train.progress").clock
local validate = require "gpt.support.validate"
local sparkline = require "gpt.sparkline"
local known_fields = require "gpt.support.known_fields"
local neutral = require "gpt.support.neutral"

local Result = {
  __name = "gpt.Training",
  __index = known_fields.index("a training's result", nil, { "loss", "validation_loss", "best", "checkpoint",
    "metrics_problem" }),
}

local WIDTH, HEIGHT = 60, 6

function Result:__tostring()
  local lines = { ("Training { %d steps, %s tokens, %s }"):format(self.steps, validate.grouped(self.tokens),
    clock(self.seconds)) }
  if #self.losses > 0 then
    lines[1] = neutral.format("Training { %d steps, %s tokens, %s, loss %.4f }", self.steps,
      validate.grouped(self.tokens), clock(self.seconds), self.loss)
    lines[2] = sparkline.curve(self.losses, WIDTH, HEIGHT)
  end
  if self.validation_loss then
    lines[#lines + 1] = neutral.format("validation loss %.4f, the best %.4f at step %d", self.validation_loss,
      self.best.loss, self.best.step)
  end
  if self.checkpoint then lines[#lines + 1] = "checkpoint " .. self.checkpoint end
  if self.metrics_problem then lines[#lines + 1] = "metrics: " .. self.metrics_problem end
  return table.concat(lines, "\n")
end

local function evaluation(of) return printed { step = of.step, loss = of.loss } end

--- The result of a run so far.
return function(run)
  local evaluations = {}
  for i, each in ipairs(run.evaluations) do evaluations[i] = evaluation(each) end
  local last = evaluations[#evaluations]
  return setmetatable({
    steps = run.step, loss = run.losses[#run.losses], losses = printed(table.move(run.losses, 1, #run.losses, 1, {})),
    evaluations = printed(evaluations), validation_loss = last and last.loss, best = run.best and evaluation(run.best),
    tokens = run.tokens, seconds = run.seconds, checkpoint = run.checkpoint,
    metrics_problem = run.metrics and run.metrics:what_is_missing(),
  }, Result)
end
