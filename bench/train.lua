-- One training step: luagpt beside PyTorch, in one run.
--
-- lua5.4 bench/train.lua --python FILE [--threads N] [--rounds N] [--steps N] [--cases small,64,256,1024]
--   --python  a Python that has torch
--   --compile 1 also runs torch.compile's model, where it has a compiler to work with
-- The systems take turns, each in a process of its own. Figures are medians over all steps but the first of each
-- process; memory is the process's peak, interpreter and libraries included.
local json = require "gpt.json"

local options = { threads = 2, rounds = 3, steps = 3, cases = "small,64,256,1024" }
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

local systems = { { "luagpt", "lua5.4 bench/peers/luagpt_train.lua %s %d %d" } }
if options.python then
  systems[2] = { "PyTorch", options.python .. " bench/peers/pytorch_train.py %s %d %d" }
  if options.compile then systems[3] = { "compiled", systems[2][2] .. " compile" } end
end

local function run(command)
  local handle = assert(io.popen(command))
  local output = handle:read "a"
  assert(handle:close(), output)
  return json.decode(output)
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function measure(case)
  local results = {}
  for _ = 1, options.rounds do
    for _, system in ipairs(systems) do
      local name, command = table.unpack(system)
      local answer = run(command:format(case, options.threads, options.steps))
      local result = results[name] or { wall = {}, cpu = {}, peak = 0 }
      results[name] = result
      table.move(answer.seconds, 1, #answer.seconds, #result.wall + 1, result.wall)
      table.move(answer.cpu, 1, #answer.cpu, #result.cpu + 1, result.cpu)
      result.peak = math.max(result.peak, answer.peak)
    end
  end
  return results
end

print(("%d threads, medians of %d rounds of %d steps"):format(options.threads, options.rounds, options.steps))
print "| case | system | seconds per step | processor seconds | peak memory |"
print "| --- | --- | --- | --- | --- |"
for name in options.cases:gmatch "[^,]+" do
  local case = assert(cases[name], "no case " .. name)
  local results = measure(case[1])
  for _, system in ipairs(systems) do
    local result = results[system[1]]
    print(("| %s | %s | %.2f | %.2f | %.2f GB |"):format(case.title, system[1], median(result.wall),
      median(result.cpu), result.peak / 1e9))
  end
end
