-- Seconds of one training step in llm.c (train_gpt2.c), and the process's peak memory:
-- lua5.4 llmc_train.lua CASE THREADS STEPS DIR WORK
-- DIR has llm.c and its program train_gpt2, whose batch, tokens and steps come from the environment
-- (docs/performance.md says how); WORK is where the checkpoint and the tokens that it reads are put. Prints the same
-- as the other peers, but no processor seconds. Its head is always tied.
local gpt = require "gpt"
local json = require "gpt.support.json"

local case, threads, steps, program, work = arg[1], arg[2], arg[3], arg[4] .. "/train_gpt2", arg[5]
local sizes = {}
for number in case:gmatch "%d+" do sizes[#sizes + 1] = math.tointeger(number) end
local vocab, context, dim, heads, layers, batch, tokens = table.unpack(sizes)

local function run(command, ...)
  local handle = assert(io.popen(command:format(...)))
  local output = handle:read "a"
  assert(handle:close(), output)
  return output
end

-- A header of 256 numbers.
local function header(...)
  return string.pack("<" .. ("i4"):rep(select("#", ...)), ...) .. ("\0"):rep(1024 - 4 * select("#", ...))
end

-- The parameters as the checkpoint has them, each kind of all layers together: rows, their width, what draws them.
local function parameters(padded)
  local normal, ones, zeros = function(...) return gpt.randn(...) * 0.02 end, gpt.ones, gpt.zeros
  return {
    { padded, dim, normal }, { context, dim, normal }, -- embeddings
    { layers, dim, ones }, { layers, dim, zeros }, -- first norm
    { layers * 3 * dim, dim, normal }, { layers * 3, dim, zeros },
    { layers * dim, dim, normal }, { layers, dim, zeros },
    { layers, dim, ones }, { layers, dim, zeros }, -- second norm
    { layers * 4 * dim, dim, normal }, { layers * 4, dim, zeros }, { layers * dim, 4 * dim, normal },
    { layers, dim, zeros }, { 1, dim, ones }, { 1, dim, zeros },
  }
end

local function write_checkpoint(path)
  local padded = (vocab + 127) // 128 * 128
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(header(20240326, 3, context, vocab, layers, heads, dim, padded)))
  for _, kind in ipairs(parameters(padded)) do
    local rows, width, draw = table.unpack(kind)
    local values <close> = draw(rows, width)
    assert(file:write(values:bytes()))
  end
end

local function write_tokens(path, count)
  local ids, list = gpt.randint(0, vocab, { count }):totable(), {}
  for i, id in ipairs(ids) do list[i] = string.pack("<I2", id) end
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(header(20240520, 1, count), table.concat(list)))
end

local dir = ("%s/llmc-%s"):format(work, case:gsub(",", "-"))
local data = dir .. "/dev/data/tinyshakespeare"
run("mkdir -p '%s'", data)
gpt.seed(1)
write_checkpoint(dir .. "/gpt2_124M.bin")
for _, part in ipairs { "train", "val" } do
  write_tokens(("%s/tiny_shakespeare_%s.bin"):format(data, part), batch * tokens * 4 + 1)
end
local output = run("program=$(realpath '%s') && cd '%s' && OMP_NUM_THREADS=%s BATCH=%d TOKENS=%d STEPS=%s "
  .. "/usr/bin/time -f 'peak %%M' \"$program\" 2>&1", program, dir, threads, batch, tokens, steps)
os.remove(dir .. "/gpt2_124M.bin")

local seconds, losses = {}, {}
for step, loss, milliseconds in output:gmatch "step (%d+): train loss ([%d.]+) %(took ([%d.]+) ms%)" do
  losses[#losses + 1] = tonumber(loss)
  if step ~= "0" then seconds[#seconds + 1] = tonumber(milliseconds) / 1000 end
end
local peak = assert(output:match "peak (%d+)", output)
print(json.encode { seconds = seconds, peak = math.tointeger(peak) * 1024, losses = losses })
