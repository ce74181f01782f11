-- What gpt.train answers.
local clock = require("gpt.train.progress").clock
local rules = require "gpt.rules"
local sparkline = require "gpt.sparkline"

local Result = {}
Result.__index = Result

local WIDTH, HEIGHT = 60, 6

function Result:__tostring()
  local lines = { ("Training { %d steps, %s tokens, %s }"):format(self.steps, rules.grouped(self.tokens),
    clock(self.seconds)) }
  if #self.losses > 0 then
    lines[1] = ("Training { %d steps, %s tokens, %s, loss %.4f }"):format(self.steps, rules.grouped(self.tokens),
      clock(self.seconds), self.loss)
    lines[2] = sparkline.curve(self.losses, WIDTH, HEIGHT)
  end
  if self.validation_loss then
    lines[#lines + 1] = ("validation loss %.4f, the best %.4f at step %d"):format(self.validation_loss,
      self.best.loss, self.best.step)
  end
  if self.checkpoint then lines[#lines + 1] = "checkpoint " .. self.checkpoint end
  return table.concat(lines, "\n")
end

--- The result of a run so far.
return function(run)
  local last = run.evaluations[#run.evaluations]
  return setmetatable({
    steps = run.step, loss = run.losses[#run.losses], losses = run.losses, evaluations = run.evaluations,
    validation_loss = last and last.loss, best = run.best, tokens = run.tokens, seconds = run.seconds,
    checkpoint = run.checkpoint,
  }, Result)
end
