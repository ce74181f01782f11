-- Continuous batching: the rows of all answers advance together, one token a turn in one pass over the weights. A row
-- that waits joins as soon as there is a place.
local Prefixes = require "gpt.server.prefixes"
local Problem = require "gpt.server.problem"
local Run = require "gpt.generate.run"
local core = require "gpt.core"
local guard = require "gpt.server.guard"
local matchers = require "gpt.grammar.matchers"
local source = require "gpt.generate.source"

local Scheduler = {}
Scheduler.__index = Scheduler

local MOST_GRAMMARS = 128 << 20 -- bytes of the grammars of answers that are not over; others' are made later

-- settings: the server's options. turns: whether there is time for more in this step (turns.lua). report(problem): told
-- of what fails in the model.
function Scheduler.new(model, settings, context_length, turns, report)
  local prefixes = Prefixes.new(model, {
    cache_dtype = settings.cache_dtype, context_length = context_length,
    most = 2 * settings.sessions, most_tokens = settings.kept_tokens,
  })
  return setmetatable({
    settings = settings, prefixes = prefixes, turns = turns, report = report, most_grammars = MOST_GRAMMARS,
    run = Run.over(source.stored(prefixes, context_length, settings.slice)),
    waiting = {}, -- rows, the first come first
    prepare_at = -math.huge, -- when the next grammar may be made, unless nobody else is there
    owner = {},   -- the answer of each row, waiting or active
    answers = {}, -- those that are not over
  }, Scheduler)
end

--- How many rows advance, and how many wait.
function Scheduler:counts()
  return #self.run.rows, #self.waiting
end

local function enter(self, answer)
  self.answers[answer] = true
  for _, row in ipairs(answer.rows) do
    self.owner[row] = answer
    table.insert(self.waiting, row)
  end
end

--- How many rows the answer to a request may have.
function Scheduler.most_rows(settings)
  return settings.sessions + settings.queue - settings.queue // 2
end

--- Raises 429 where too many wait for n rows more. Several leave half the queue to others.
function Scheduler:check_room(n)
  local settings = self.settings
  local room = n == 1 and settings.sessions + settings.queue or Scheduler.most_rows(settings)
  if #self.run.rows + #self.waiting + n <= room then return end
  error(Problem.new(429, "too many requests are waiting; try again in a moment", {
    code = "queue_full", headers = { ["Retry-After"] = 1 } }))
end

--- Takes an answer. Raises 429 where too many wait.
function Scheduler:submit(answer)
  self:check_room(#answer.rows)
  local ok, problem = pcall(enter, self, answer)
  if ok then return end
  self:drop(answer)
  error(problem, 0)
end

local function forget(self, row)
  self.owner[row] = nil
  self.run:leave(row)
  for i, other in ipairs(self.waiting) do
    if other == row then return table.remove(self.waiting, i) end
  end
end

--- Takes an answer out, whether it is over or not.
function Scheduler:drop(answer)
  self.answers[answer] = nil
  for _, row in ipairs(answer.rows) do
    if self.owner[row] then forget(self, row) end
  end
end

-- A row whose pass failed: its answer is a problem, and its session is not kept.
local function fail(self, row, problem)
  local answer = self.owner[row]
  if not answer then return end -- it has left
  row.broken = true
  self:drop(answer)
  answer:fail(problem, "the model failed; the server's log has more")
  self.report(problem)
end

-- Tells a row's answer what is new; where that ends it, the next in line may come.
local function update(self, row)
  local answer = self.owner[row]
  local ok, over = guard(answer.update, answer, row)
  if not ok then return fail(self, row, over) end
  if row.output.done then forget(self, row) end
  if over then self:drop(answer) end
end

local function update_all(self)
  for _, row in ipairs(table.move(self.run.rows, 1, #self.run.rows, 1, {})) do
    if self.owner[row] then update(self, row) end
  end
end

-- A pass that failed may have done so for one of its rows: each tries alone.
local function step_alone(self, rows)
  for _, row in ipairs(rows) do
    if self.owner[row] then
      local ok, problem = guard(self.run.step, self.run, { row })
      if not ok then fail(self, row, problem) end
      self.run.turn = nil
    end
  end
end

-- Where a pass finds no memory, a conversation that is kept goes: those under way come first.
local function makes_room(self, problem)
  return core._is_memory_error(problem) and self.prefixes:drop()
end

-- Drawing goes on where it was behind the row that failed.
local function step(self)
  local run = self.run
  repeat
    local ok, problem = guard(run.step, run)
    if not ok and run.turn then
      fail(self, run.turn.row, problem)
    elseif not ok and not makes_room(self, problem) then
      return step_alone(self, table.move(run.rows, 1, #run.rows, 1, {}))
    end
  until ok
end

-- The answer that has waited longest for its grammar, or nil.
local function next_to_prepare(self)
  for _, row in ipairs(self.waiting) do
    local answer = self.owner[row]
    if answer.prepare then return answer end
  end
end

local function grammar_bytes(self)
  local counted, bytes = {}, 0
  for answer in pairs(self.answers) do
    local grammar = answer.grammar
    if grammar and not counted[grammar] then
      counted[grammar], bytes = true, bytes + matchers.bytes(grammar)
    end
  end
  return bytes
end

local function prepare_one(self, answer)
  self.turns:take()
  local ok, problem = guard(answer.prepare)
  if ok then
    answer.grammar, answer.prepare = problem, nil
    return
  end
  self:drop(answer)
  answer:fail(problem, "the server failed; its log has more")
  if not Problem.is(problem) then self.report(problem) end
end

-- Makes grammars of answers that wait: one a turn, more where that takes no time, and none while those that are there
-- take much memory. Rows under way then advance for as long as that took: half the time is theirs, whatever others ask
-- for.
local function prepare(self)
  local begin = self.turns.clock()
  if begin < self.prepare_at and #self.run.rows > 0 then return end
  local answer, first = next_to_prepare(self), true
  while answer and (first or self.turns:has_time()) and grammar_bytes(self) < self.most_grammars do
    prepare_one(self, answer)
    answer, first = next_to_prepare(self), false
  end
  local now = self.turns.clock()
  self.prepare_at = now + (now - begin)
end

-- The place in line of the row that is next: the first of an answer that has the fewest under way.
local function next_in_line(self)
  local active, place, fewest = {}, nil, math.huge
  for _, row in ipairs(self.run.rows) do
    local answer = self.owner[row]
    active[answer] = (active[answer] or 0) + 1
  end
  for i, row in ipairs(self.waiting) do
    local answer = self.owner[row]
    local n = active[answer] or 0
    if n < fewest and not answer.prepare then place, fewest = i, n end
  end
  return place
end

local function admit(self)
  while #self.run.rows < self.settings.sessions do
    local place = next_in_line(self)
    if not place then return end
    self.run:join(self.waiting[place])
    table.remove(self.waiting, place)
  end
end

--- One turn. Returns whether there was something to do.
function Scheduler:turn()
  prepare(self)
  admit(self)
  if #self.run.rows == 0 then return #self.waiting > 0 end
  step(self)
  update_all(self)
  return true
end

-- A row that was begun ends with what it has; one that waited has nothing.
local function expire(self, answer)
  local begun = false
  for _, row in ipairs(answer.rows) do begun = begun or row.output.drawn > 0 end
  if begun then
    for _, row in ipairs(answer.rows) do
      if self.owner[row] then
        self.run:leave(row)
        row.output.done = true
        update(self, row)
      end
    end
  else
    answer:fail(Problem.new(503, "the server was too busy to answer within its time"))
  end
  self:drop(answer)
end

--- Ends answers whose time is over.
function Scheduler:check_time(now)
  for answer in pairs(self.answers) do
    if now > answer.deadline then expire(self, answer) end
  end
end

--- Ends all answers with a problem.
function Scheduler:fail_all(problem)
  for answer in pairs(self.answers) do
    answer:fail(problem)
    self:drop(answer)
  end
end

return Scheduler
