-- What one sees while training. On a terminal: one line that changes, with a bar and a small curve. In a pipe or a log
-- file: a plain line now and then, without any control characters.
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local sparkline = require "gpt.sparkline"
local neutral = require "gpt.support.neutral"
local rates = require "gpt.train.rates"
local warning = require "gpt.support.warning"

local Progress = {}
Progress.__index = Progress

local REDRAW = 0.1 -- seconds between two pictures on a terminal
local LINES = 20   -- plain lines in all, where nothing is said
local BAR, SPARK = 20, 16

-- Without the library os nobody knows: then plain text.
local function speaks_utf8()
  if not os then return false end
  local name = os.getenv "LC_ALL" or ""
  if name == "" then name = os.getenv "LC_CTYPE" or "" end
  if name == "" then name = os.getenv "LANG" or "" end
  return name:lower():find "utf%-?8" ~= nil
end

-- Seconds as 4:05 or 1:02:09.
local function clock(seconds)
  local s = math.floor(seconds + 0.5)
  if s >= 3600 then return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60) end
  return ("%d:%02d"):format(s // 60, s % 60)
end
Progress.clock = clock

--- @param target true (standard error, where the host has the library io and forbids no files), false (nothing), or an
-- open file
-- @param steps how many there are in all
-- @param log_every steps between two plain lines
function Progress.new(target, steps, log_every)
  local file = target
  if target == true then file = io and not core._files_forbidden() and io.stderr end
  file = file or nil
  local width = file and os and os.getenv "TERM" ~= "dumb" and core._terminal_width(file) or nil
  return setmetatable({
    file = file, width = width, steps = steps, log_every = log_every or math.max(1, steps // LINES),
    utf8 = speaks_utf8(), drawn = false, next_time = 0,
  }, Progress)
end

-- tokens per second, and seconds left, from what this run did so far
local function speed(run)
  local seconds = math.max(core._now() - run.started_at, 1e-9)
  local done = run.step - run.first_step
  return run.tokens_now / seconds, done > 0 and (run.steps - run.step) * seconds / done or 0
end

local function recent_loss(run)
  local n, sum = math.min(#run.losses, 20), 0
  for i = #run.losses - n + 1, #run.losses do sum = sum + run.losses[i] end
  return sum / n
end

local function norm_text(run) return neutral.format("norm %.3g", run.norm) end

function Progress:bar(share)
  local full = math.floor(share * BAR + 0.5)
  if not self.utf8 then return "[" .. ("="):rep(full) .. (" "):rep(BAR - full) .. "]" end
  return ("━"):rep(full) .. ("╌"):rep(BAR - full)
end

-- The line's text: with the rate and the gradients' norm where that leaves room for the bar and the curve.
function Progress:text(run)
  local rate, left = speed(run)
  local counts, loss = ("%d/%d"):format(run.step, run.steps), neutral.format("loss %.3f", recent_loss(run))
  local rest = ("%s tokens/s  %s left"):format(validate.grouped(rate), clock(left))
  local short = ("%s  %s  %s"):format(counts, loss, rest)
  local long = ("%s  %s  lr %s  %s  %s"):format(counts, loss, rates.text(run.lrs), norm_text(run), rest)
  return #long + BAR + SPARK + 6 < self.width and long or short
end

-- The parts of the line, as many as the terminal is wide.
function Progress:compose(run)
  local line = self:text(run)
  if #line + BAR + 4 < self.width then
    local bar = self:bar(run.step / run.steps)
    local spark = self.utf8 and #line + BAR + SPARK + 6 < self.width
      and "  " .. sparkline.line(run.losses, SPARK) or ""
    return bar .. "  " .. line .. spark
  end
  return #line < self.width and line or line:sub(1, self.width - 1)
end

function Progress:write(...)
  if self.file then self.file:write(...) self.file:flush() end
end

function Progress:clear()
  if self.drawn then self:write "\r\27[K" end
  self.drawn = false
end

--- After every step.
function Progress:step(run)
  if not self.file then return end
  if not self.width then
    if run.step % self.log_every ~= 0 and run.step ~= run.steps then return end
    local rate, left = speed(run)
    return self:write(neutral.format("step %d/%d  loss %.4f  lr %s  %s  %s tokens/s  %s left\n", run.step, run.steps,
      recent_loss(run), rates.text(run.lrs), norm_text(run), validate.grouped(rate), clock(left)))
  end
  local now = core._now()
  if now < self.next_time and run.step ~= run.steps then return end
  self.next_time = now + REDRAW
  self:write("\r", self:compose(run), "\27[K")
  self.drawn = true
end

--- A line that stays.
function Progress:note(...)
  if not self.file then return end
  self:clear()
  self:write(neutral.format(...), "\n")
end

--- The same for a text that has to be heard where nothing is shown, too: a warning then.
function Progress:remark(text)
  if self.file then self:note("%s", text) else warning("gpt.train: %s", text) end
end

--- At the end: what is drawn stays.
function Progress:finish()
  if self.drawn then self:write "\n" end
  self.drawn = false
end

return Progress
