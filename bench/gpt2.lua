-- GPT-2 small in float32 with random weights: luagpt beside PyTorch and the machine's own bounds, in one run.
--
-- lua5.4 bench/gpt2.lua [--threads N] [--rounds N] [--python FILE] [--products FILE] [--work DIR]
--   --python    a Python that has torch and transformers (without it PyTorch is left out)
--   --products  the program of bench/products.c, for the bounds
--   --work      where the weights are put
-- The systems take turns, each in a process of its own; figures are medians over the rounds.
local gpt = require "gpt"

local options = { threads = 2, rounds = 5, products = "build/bench/products", work = "build/bench" }
for i = 1, #arg, 2 do
  local name = arg[i]:match("^%-%-(%l+)$")
  if not name or not arg[i + 1] then error("a list of --name value expected, got " .. arg[i]) end
  options[name] = math.tointeger(arg[i + 1]) or arg[i + 1]
end

local dir = options.work .. "/gpt2-small"

local function exists(file)
  local handle = io.open(file)
  return handle and handle:close()
end

local function run(...)
  local handle = assert(io.popen(table.concat({ ... }, " ")))
  local output = handle:read("a")
  assert(handle:close(), output)
  return output
end

local function make_weights()
  if not exists(dir .. "/model.safetensors") then
    gpt.seed(1)
    gpt.Model(gpt.config("gpt2-small", { qkv_bias = true, tie_weights = true })):save(dir)
  end
end

-- What a system told, added to its lists: results[name] = { value, ... }
local function add(results, name, value)
  results[name] = results[name] or {}
  table.insert(results[name], tonumber(value))
end

local function add_lines(results, output)
  for name, value in output:gmatch("([%w_]+) ([%d.]+)\n") do add(results, name, value) end
end

local systems = {
  {
    name = "bound",
    run = function(results) add_lines(results, run(options.products, "gpt2 --threads", options.threads)) end,
  },
  {
    name = "luagpt",
    run = function(results) add_lines(results, run("lua5.4 bench/peers/luagpt_gpt2.lua", dir, options.threads, 1)) end,
  },
}

if options.python then
  table.insert(systems, {
    name = "PyTorch",
    run = function(results)
      add_lines(results, run(options.python, "bench/peers/pytorch_gpt2.py", dir, options.threads, 1, "2>/dev/null"))
    end,
  })
end

local function median(values)
  if not values then return nil end
  table.sort(values)
  return values[(#values + 1) // 2]
end

local rows = {
  { "decode", "decoding, tokens/s", "%.1f" },
  { "prompt_512", "prompt of 512, tokens/s", "%.0f" },
  { "prompt_1000", "prompt of 1,000, tokens/s", "%.0f" },
  { "load", "load, s", "%.3f" },
  { "peak_decoding", "peak decoding, MiB", "%.0f", 1 / 2 ^ 20 },
  { "peak", "peak, prompt of 1,000, MiB", "%.0f", 1 / 2 ^ 20 },
  { "decode_system_calls", "asked for memory in 64 tokens", "%.0f" },
}

local function report()
  local line = { ("%-30s"):format("") }
  for _, system in ipairs(systems) do table.insert(line, ("%10s"):format(system.name)) end
  print(table.concat(line))
  for _, row in ipairs(rows) do
    line = { ("%-30s"):format(row[2]) }
    for _, system in ipairs(systems) do
      local value = median(system.results[row[1]])
      table.insert(line, ("%10s"):format(value and row[3]:format(value * (row[4] or 1)) or "-"))
    end
    print(table.concat(line))
  end
end

make_weights()
for _, system in ipairs(systems) do system.results = {} end
for round = 1, options.rounds do
  for _, system in ipairs(systems) do system.run(system.results) end
  io.stderr:write(("round %d of %d\n"):format(round, options.rounds))
end
report()
