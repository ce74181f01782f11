-- One training step: luagpt beside the machine's bound and PyTorch, in one run.
--
-- lua5.4 bench/train.lua [--python FILE] [--threads N] [--rounds N] [--steps N]
--   [--cases small,64,256,1024] [--bound FILE]
--   --python  a Python that has torch (without it PyTorch is left out)
--   --compile 1 also runs torch.compile's model, where it has a compiler to work with
--   --bound   the program of bench/train_bound.c
-- The systems take turns, each in a process of its own. Figures are medians over all steps but the first of each
-- process; memory is the process's peak, interpreter and libraries included.
local json = require "gpt.support.json"

local options = {
  threads = 2, rounds = 3, steps = 3, cases = "small,64,256,1024", bound = "build/bench/train_bound",
}
for i = 1, #arg, 2 do
  local name = arg[i]:match "^%-%-(%l+)$"
  if not name or not arg[i + 1] then error("a list of --name value expected, got " .. arg[i]) end
  options[name] = math.tointeger(arg[i + 1]) or arg[i + 1]
end

-- vocabulary, context, emb_dim, heads, layers, batch, tokens, tied
local cases = {
  small = { title = "small, 32 x 128", "512,128,128,4,4,32,128,0" },
  ["64"] = { title = "gpt2-small, 4 x 64", "50257,1024,768,12,12,4,64,1" },
  ["256"] = { title = "gpt2-small, 4 x 256", "50257,1024,768,12,12,4,256,1" },
  ["1024"] = { title = "gpt2-small, 1 x 1,024", "50257,1024,768,12,12,1,1024,1" },
}

-- A name, a program, and what it is given behind case, threads and steps.
local systems = {
  { name = "bound", program = options.bound },
  { name = "luagpt", program = "lua5.4 bench/peers/luagpt_train.lua" },
}
if options.python then
  local program = options.python .. " bench/peers/pytorch_train.py"
  table.insert(systems, { name = "PyTorch", program = program })
  if options.compile then table.insert(systems, { name = "compiled", program = program, more = "compile" }) end
end

local function run(...)
  local handle = assert(io.popen(table.concat({ ... }, " ")))
  local output = handle:read "a"
  assert(handle:close(), output)
  return json.decode(output)
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function append(list, more)
  table.move(more or {}, 1, #(more or {}), #list + 1, list)
end

-- By name: medians of seconds and processor seconds, the peak.
local function measure(case)
  local results = {}
  for _, system in ipairs(systems) do results[system.name] = { wall = {}, cpu = {} } end
  for _ = 1, options.rounds do
    for _, system in ipairs(systems) do
      local answer = run(system.program, case, options.threads, options.steps, system.more)
      local result = results[system.name]
      append(result.wall, answer.seconds)
      append(result.cpu, answer.cpu)
      result.peak = math.max(result.peak or 0, answer.peak or 0)
    end
  end
  for _, result in pairs(results) do result.wall, result.cpu = median(result.wall), median(result.cpu) end
  return results
end

local function cell(form, value)
  return value and value > 0 and form:format(value) or ""
end

print(("%d threads, medians of %d rounds of %d steps"):format(options.threads, options.rounds, options.steps))
print "| case | system | seconds per step | times the bound | processor seconds | peak memory |"
print "| --- | --- | --- | --- | --- | --- |"
for name in tostring(options.cases):gmatch "[^,]+" do
  local case = assert(cases[name], "no case " .. name)
  local results = measure(case[1])
  for _, system in ipairs(systems) do
    local result = results[system.name]
    print(("| %s | %s | %.2f | %s | %s | %s |"):format(case.title, system.name, result.wall,
      cell("%.2f", system.name ~= "bound" and result.wall / results.bound.wall), cell("%.2f", result.cpu),
      cell("%.2f GB", result.peak / 1e9)))
  end
end
