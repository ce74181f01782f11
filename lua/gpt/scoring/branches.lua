-- Contexts, each with several continuations: a context runs once, and its continuations go on from forks of its
-- session.
--
-- A tree is { context = ids, branches = { ids, ... } }; `run` gives it `scores`, for each branch the list of its
-- tokens' log probabilities, and `greedy`. Of a context and a branch that are too long together the last tokens stay.
local Branches = {}
Branches.__index = Branches

local WORTH = 16 -- tokens in common with the context before that are worth going on from

function Branches.new(scorer, context_length)
  return setmetatable({ scorer = scorer, length = context_length }, Branches)
end

local function common(a, b)
  local n = 0
  while n < #a and a[n + 1] == b[n + 1] do n = n + 1 end
  return n
end

-- A session for a prefix, the last token of which its branches feed; with the job that is left to feed it.
local function begin(self, prefix)
  local kept = self.kept
  local n = kept and math.min(common(prefix, kept.ids), kept.session.length, #prefix - 1) or 0
  if n < WORTH then return { session = self.scorer:open(), ids = prefix, from = #prefix + 1 } end
  local rest = table.move(prefix, n + 1, #prefix, 1, {})
  return { session = kept.session:fork():rewind(n), ids = rest, from = #rest + 1 }
end

-- The prefixes of a tree: those of its branches for which as many tokens of the context are too many.
local function prefixes_of(self, tree, list)
  local by_crop = {}
  for i, branch in ipairs(tree.branches) do
    local crop = math.max(0, #tree.context + #branch - self.length - 1)
    if not by_crop[crop] then
      local ids = table.move(tree.context, crop + 1, #tree.context, 1, {})
      by_crop[crop] = { tree = tree, ids = ids, branches = {}, job = begin(self, ids) }
      list[#list + 1] = by_crop[crop]
    end
    table.insert(by_crop[crop].branches, i)
  end
end

local function branch_jobs(prefixes)
  local jobs = {}
  for _, prefix in ipairs(prefixes) do
    for _, i in ipairs(prefix.branches) do
      local branch = prefix.tree.branches[i]
      local ids = table.move(branch, 1, #branch, 2, { prefix.ids[#prefix.ids] })
      jobs[#jobs + 1] = { session = prefix.job.session:fork(), ids = ids, from = 2, tree = prefix.tree, branch = i }
    end
  end
  return jobs
end

-- The last prefix's session stays for those that come.
local function keep(self, prefixes)
  self:close()
  local last = self.scorer.caches and prefixes[#prefixes]
  for _, prefix in ipairs(prefixes) do
    if prefix ~= last then prefix.job.session:free() end
  end
  self.kept = last and { session = last.job.session, ids = last.ids } or nil
end

function Branches:run(trees)
  local prefixes, feeds = {}, {}
  for _, tree in ipairs(trees) do prefixes_of(self, tree, prefixes) end
  for i, prefix in ipairs(prefixes) do feeds[i] = prefix.job end
  self.scorer:run(feeds)
  local jobs = branch_jobs(prefixes)
  self.scorer:run(jobs)
  for _, tree in ipairs(trees) do tree.scores, tree.greedy = {}, {} end
  for _, job in ipairs(jobs) do
    job.tree.scores[job.branch], job.tree.greedy[job.branch] = job.scores, job.greedy
    job.session:free()
  end
  keep(self, prefixes)
end

--- Frees the session that it keeps.
function Branches:close()
  if self.kept then self.kept.session:free() end
  self.kept = nil
end

return Branches
