-- Llama 3's scaling of rotary frequencies, which GGUF has as a tensor of divisors, one for each pair of numbers of a
-- head: those below a frequency are divided by factor, those above another one are not, and between them the share
-- goes linearly with the frequency (Grattafiori et al., "The Llama 3 Herd of Models", 2024).
local rope_factors = { NAME = "rope_freqs.weight" }

local PAIRS_TO_FIT = 2
local CLOSE, ROUNDED = 1e-5, 1e-4 -- relative

-- Radians from one position to the next, of each pair.
local function frequencies(base, dims)
  local list = {}
  for i = 0, dims // 2 - 1 do list[i + 1] = base ^ (-2 * i / dims) end
  return list
end

-- A pair's divisor.
local function divisor(scaling, frequency)
  local turns = scaling.original_max_position_embeddings * frequency / (2 * math.pi)
  local low, high = scaling.low_freq_factor, scaling.high_freq_factor
  if turns > high then return 1.0 end
  if turns < low then return scaling.factor + 0.0 end
  local share = (turns - low) / (high - low)
  return 1 / ((1 - share) / scaling.factor + share)
end

local function list_of(scaling, base, dims)
  local list = {}
  for i, frequency in ipairs(frequencies(base, dims)) do list[i] = divisor(scaling, frequency) end
  return list
end

-- The divisors of a scaling; nil where it is of another kind.
-- @tparam table scaling of a config
-- @number base
-- @int dims numbers of a head that turn
function rope_factors.of(scaling, base, dims)
  if scaling.frequency_factors then return scaling.frequency_factors end
  return scaling.rope_type == "llama3" and list_of(scaling, base, dims) or nil
end

local function agrees(scaling, list, base, dims)
  for i, value in ipairs(list_of(scaling, base, dims)) do
    if math.abs(value - list[i]) > CLOSE * value then return false end
  end
  return true
end

-- The line through the pairs whose divisor lies between: how their share goes with the frequency. nil where there are
-- too few.
local function fit_line(list, base, dims, factor)
  local first, last
  for i, frequency in ipairs(frequencies(base, dims)) do
    local value = list[i]
    if value > 1 and value < factor then
      last = { frequency, (1 / value - 1 / factor) / (1 - 1 / factor) }
      first = first or last
    end
  end
  if not first or first == last then return nil end
  local slope = (first[2] - last[2]) / (first[1] - last[1])
  return slope, first[2] - slope * first[1]
end

local function rounded(value)
  local whole = math.floor(value + 0.5)
  return math.abs(value - whole) <= ROUNDED * math.abs(value) and whole or value
end

-- A config's scaling for a file's divisors: Llama 3's by its own names where it is that (with the usual
-- low_freq_factor, 1, because the divisors tell but two of three numbers), and else the divisors as they are.
function rope_factors.scaling(list, base, dims)
  local plain, factor = { frequency_factors = list }, 1
  for _, value in ipairs(list) do factor = math.max(factor, value) end
  if #list < PAIRS_TO_FIT or #list ~= dims // 2 or factor <= 1 then return plain end
  local slope, start = fit_line(list, base, dims, factor)
  if not slope or start >= 0 then return plain end
  -- share = (turns - low) / (high - low), and turns = original * frequency / (2 pi)
  local high = rounded(1 - 1 / start)
  local scaling = { rope_type = "llama3", factor = rounded(factor), low_freq_factor = 1.0, high_freq_factor = high,
    original_max_position_embeddings = rounded(slope * (high - 1) * 2 * math.pi) }
  return agrees(scaling, list, base, dims) and scaling or plain
end

return rope_factors
