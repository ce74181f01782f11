-- How likely a model, or any function from ids to logits, finds token ids.
--
-- A job is { session, ids, from }: behind what its session holds all but the last of ids are fed, and those from place
-- `from` on get a log probability each, given all before them, in the job's list `scores`; `greedy` tells whether each
-- is the likeliest token in its place. With from = #ids + 1 a job only feeds.
local core = require "gpt.core"
local raise = require "gpt.support.raise"

local scorer = {}

local ROWS = 512 -- of a pass: Ctrl-C ends a run within one, and its memory is bounded

local function start(job)
  job.fed, job.scores, job.greedy = 0, {}, true
end

-- The next n ids that a job feeds, and the targets behind them.
local function part_of(job, n)
  local ids, targets = {}, {}
  for i = 1, n do
    local at = job.fed + i
    ids[i], targets[i] = job.ids[at], at + 1 >= job.from and job.ids[at + 1] or -1
  end
  return ids, targets
end

-- Takes n rows of scores, a flat list of pairs from place `at` on.
local function take(job, scores, at, n)
  for i = 1, n do
    if job.fed + i + 1 >= job.from then
      job.scores[#job.scores + 1] = scores[at + 2 * i - 2]
      job.greedy = job.greedy and scores[at + 2 * i - 1] == 1
    end
  end
  job.fed = job.fed + n
end

local Sessions = { caches = true }
Sessions.__index = Sessions

function Sessions:open() return self.model:session() end

-- Over a cache a pass takes a part of a job, or several; without one a session runs from its beginning at every feed.
local function room_of(job)
  return core._session_cached(job.session) and ROWS or #job.ids
end

-- What a pass takes of the jobs from the first on: sessions, ids, targets, and each { job, rows }.
local function gather(jobs, first)
  local room, sessions, lists, targets, parts = room_of(jobs[first]), {}, {}, {}, {}
  for i = first, #jobs do
    local job = jobs[i]
    local n = math.min(room, #job.ids - 1 - job.fed)
    if n > 0 then
      local k = #parts + 1
      sessions[k], parts[k] = job.session, { job, n }
      lists[k], targets[k] = part_of(job, n)
      room = room - n
    end
    if room <= 0 then break end
  end
  return parts, sessions, lists, targets
end

local function run_pass(parts, sessions, lists, targets)
  local scores <close> = core._score(sessions, lists, targets)
  local flat, at = scores:view(-1):totable(), 1
  for _, part in ipairs(parts) do
    take(part[1], flat, at, part[2])
    at = at + 2 * part[2]
  end
end

function Sessions.run(_, jobs)
  for _, job in ipairs(jobs) do start(job) end
  local first = 1
  while first <= #jobs do
    if jobs[first].fed >= #jobs[first].ids - 1 then
      first = first + 1
    else
      run_pass(gather(jobs, first))
    end
  end
end

-- What stands for a session of a function: the ids so far.
local Held = {}
Held.__index = Held

function Held:fork() return setmetatable({ ids = table.move(self.ids, 1, #self.ids, 1, {}) }, Held) end

function Held.free() end

local Functions = {}
Functions.__index = Functions

function Functions.open() return setmetatable({ ids = {} }, Held) end

local function check_logits(what, logits, tokens)
  local shape = core.is_tensor(logits) and logits:dtype() == "f32" and logits:shape() or {}
  if #shape == 3 and shape[1] == 1 and shape[2] == tokens then return logits end
  raise("%s: the function has to return f32 logits of shape [1, %d, vocab_size] for %d ids, got %s", what, tokens,
    tokens, core.is_tensor(logits) and ("%s of shape [%s]"):format(logits:dtype(), table.concat(logits:shape(), ", "))
    or core._typename(logits))
end

-- Runs all ids of the job's session, of which the last n are the job's.
local function run_whole(self, job, n)
  local held = job.session.ids
  local ids, targets = part_of(job, n)
  table.move(ids, 1, n, #held + 1, held)
  if job.from > #job.ids then return take(job, {}, 1, n) end
  local masked = {}
  for i = 1, #held - n do masked[i] = -1 end
  table.move(targets, 1, n, #masked + 1, masked)
  local logits <close> = check_logits(self.what, core._infer(self.fn, core.tensor({ held })), #held)
  local scores <close> = core._logit_scores(logits, core.tensor({ masked }))
  take(job, scores:view(-1):totable(), 2 * (#held - n) + 1, n)
end

function Functions:run(jobs)
  for _, job in ipairs(jobs) do
    start(job)
    if #job.ids > 1 then run_whole(self, job, #job.ids - 1) end
  end
end

--- A scorer: `open()` returns an empty session (to be freed; it forks), `run(jobs)` scores; `caches`: sessions may also
--- be rewound, and what they hold is not run again.
-- @string what begins messages
-- @tparam table known as generate/subject.lua describes a model or function
function scorer.of(what, known)
  if known.is_model then return setmetatable({ model = known.model }, Sessions) end
  return setmetatable({ what = what, fn = known.model }, Functions)
end

--- The sum of a list of log probabilities.
function scorer.sum(scores)
  local sum = 0.0
  for _, score in ipairs(scores) do sum = sum + score end
  return sum
end

return scorer
