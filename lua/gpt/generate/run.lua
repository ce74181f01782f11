-- A generation under way: rows of tokens that grow together, one token a step. Rows may join and leave between steps.
local Row = require "gpt.generate.row"

local Run = {}
Run.__index = Run

-- A run without rows, over a source of logits (source.lua).
function Run.over(source)
  return setmetatable({
    source = source, rows = {}, outputs = {}, logprobs = false,
    read = false, -- a reader takes what is new; what it did not take, at the end, does not count as returned
    turn = nil, -- a step that is under way: its rows, where their logits are, which row is the next (`at`), and the
                -- one that grows now (`row`)
  }, Run)
end

-- prompts: as prompt.read returns them. settings: as Row.new takes them.
function Run.new(what, source, prompts, settings)
  local run = Run.over(source)
  run.logprobs = settings.logprobs
  for i, prompt in ipairs(prompts.rows) do run:join(Row.new(what, settings, prompt, i)) end
  return run
end

-- Another row, from the next step on. Where that fails it may be tried again.
function Run:join(row)
  local n = #self.rows + 1
  self.outputs[n] = row.output
  self.rows[n] = row
end

-- Adds what must follow by the row's grammar; then tells the source of all tokens that are new, and of the end.
local function settle(self, row)
  row:add_forced()
  if row.output.drawn == 0 then return end
  self.source:append(row, #row.ids - (row.output:dropped() and 1 or 0))
  if row.output.done then self.source:close(row, #row.output.ids) end
end

-- The rows that are not done; where all are, none. The beginning of a text may have to follow already.
local function active(self, rows)
  local list = {}
  for _, row in ipairs(rows) do
    if row.output.drawn == 0 and not row.output.done then settle(self, row) end
    row:tell()
    if not row.output.done then list[#list + 1] = row end
  end
  return list
end

local function begin_turn(self, rows)
  rows = active(self, rows)
  return #rows > 0 and { rows = rows, pick = self.source:advance(rows), at = 1, row = rows[1] } or nil
end

-- The next row of a turn. It has no logits where its prompt is not all fed yet, and wants none where it has left.
local function next_row(self, turn)
  local row, id, logprob = turn.rows[turn.at], nil, nil
  turn.row = row
  local logits, position = turn.pick(turn.at)
  local grows = logits and not row.output.done
  if grows then id, logprob = row:draw(logits, position) end
  turn.at = turn.at + 1
  if grows then
    row:add(id, logprob)
    settle(self, row)
  end
  row:tell()
end

-- One more token for every row that is not done (of `rows`, where that is given); false where all are. After an error
-- in a function of the user's the next call goes on where it was: at row `turn.at` of `turn.rows`.
function Run:step(rows)
  self.turn = self.turn or begin_turn(self, rows or self.rows)
  local turn = self.turn
  if not turn then return false end
  while turn.at <= #turn.rows do next_row(self, turn) end
  self.turn = nil
  return true
end

-- What is new: for each output a value and a log probability, as Output:take returns them. At the end nil.
function Run:next_of(output)
  self.read = true
  local ended = false -- the last step may have added what a grammar leaves no choice about
  while true do
    local value, logprob = output:take()
    if value or ended then return value, logprob end
    ended = not self:step()
  end
end

-- The same for all rows at once: tables from row to value and to log probability.
function Run:next_of_all()
  self.read = true
  local ended = false
  while true do
    local values, logprobs = {}, {}
    for i, output in ipairs(self.outputs) do values[i], logprobs[i] = output:take() end
    if next(values) then return values, self.logprobs and logprobs or nil end
    if ended then return nil end
    ended = not self:step()
  end
end

-- A row that is to grow no more: what its reader took counts as returned.
local function let_go(self, row)
  local output = row.output
  if output.done and not (self.read and output.taken < #output.ids) then return end
  output.done = true
  self.source:close(row, output.taken)
end

-- Takes a row out, whether it is done or not.
function Run:leave(row)
  let_go(self, row)
  for i, other in ipairs(self.rows) do
    if other == row then
      table.remove(self.rows, i)
      return table.remove(self.outputs, i)
    end
  end
end

-- Lets go of the sessions.
function Run:close()
  self.turn = nil
  for _, row in ipairs(self.rows) do let_go(self, row) end
end

Run.__close = Run.close

return Run
