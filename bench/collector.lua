-- What Lua's collector costs a loop that drops tensors, beside the same loop that frees them by hand, and how far
-- memory grows: lua5.4 bench/collector.lua (with the module in LUA_PATH and LUA_CPATH: eval "$(make -s env)").
local gpt = require "gpt"

-- name, bytes, rounds
local SIZES = { { "1 KiB", 1 << 10, 40000 }, { "1 MiB", 1 << 20, 300 }, { "12 MiB", 12 << 20, 30 } }
local ROUNDS = 3 -- medians of these
local STRINGS = 200000

local function drop(x, rounds)
  local most = 0
  for _ = 1, rounds do
    local y = x + 1
    local z = y:abs()
    local w = z:view(-1, 4):sum(-1)
    most = math.max(most, gpt.memory().live)
    assert(w)
  end
  return most
end

local function free(x, rounds)
  local most = 0
  for _ = 1, rounds do
    local y <close> = x + 1
    local z <close> = y:abs()
    local v <close> = z:view(-1, 4)
    local w <close> = v:sum(-1)
    most = math.max(most, gpt.memory().live)
    assert(w)
  end
  return most
end

-- Microseconds of a round and the MiB that memory grows by.
local function measure(loop, bytes, rounds)
  local x, times, most = gpt.ones(bytes // 4), {}, 0
  loop(x, rounds // 10)
  for i = 1, ROUNDS do
    collectgarbage()
    local base, start = gpt.memory().live, os.clock()
    most = math.max(most, loop(x, rounds) - base)
    times[i] = (os.clock() - start) / rounds * 1e6
  end
  table.sort(times)
  return ("%9.1f us, %4d MiB"):format(times[ROUNDS // 2 + 1], most >> 20)
end

local function report(heap)
  for _, size in ipairs(SIZES) do
    collectgarbage "incremental"
    local line = { ("%-7s %s:"):format(size[1], heap), measure(free, size[2], size[3]) }
    for i, mode in ipairs { "incremental", "generational" } do
      collectgarbage(mode)
      line[i + 2] = measure(drop, size[2], size[3])
    end
    print(table.concat(line, " | "))
  end
end

gpt.set_threads(1)
print "freed by hand | incremental | generational"
report "beside an empty heap"
local strings = {}
for i = 1, STRINGS do strings[i] = "string number " .. i end
report(("beside %d strings"):format(#strings))
