-- Two real models, which are too large to be kept here: spec/fixtures/make_gguf_checksums.py says where they are from.
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"

local expected = json.decode(files.read "spec/fixtures/gguf/real.json")
local WORDS = 128

-- The polynomial of the numbers' bytes, 64 bits at a time, that the script computes.
local function checksum(tensor)
  local rows, sum, format = tensor:reshape(-1, tensor:size(-1)), 0, "<" .. ("i8"):rep(WORDS)
  local step = math.max(1, (1 << 20) // rows:size(2))
  if rows:size(2) % 2 ~= 0 then step = rows:size(1) end
  for first = 1, rows:size(1), step do
    local bytes = rows:narrow(1, first, math.min(step, rows:size(1) - first + 1)):float():bytes()
    local last = #bytes // 8 * 8
    for at = 1, last, 8 * WORDS do
      local count = math.min(WORDS, (last - at + 1) // 8)
      local words = { string.unpack(count == WORDS and format or "<" .. ("i8"):rep(count), bytes, at) }
      for i = 1, count do sum = sum * 31 + words[i] end
    end
  end
  return ("%016x"):format(sum)
end

describe("every tensor, converted to f32, is bit for bit what the gguf package reads, of", function()
  for name, tensors in pairs(expected) do
    local path = os.getenv(name)
    local test = path and it or function(title) pending(title .. " (set " .. name .. " to its path)") end
    test("the model at " .. name, function()
      local file, count = gpt.read_gguf(path), 0
      for tensor_name, about in pairs(tensors) do
        local tensor = file.tensors[tensor_name]
        assert.equal(about[1], tensor:dtype())
        assert.equal(about[2], checksum(tensor), tensor_name)
        count = count + 1
      end
      for _ in pairs(file.tensors) do count = count - 1 end
      assert.equal(0, count)
    end)
  end
end)

it("the checksum is 31 times what came before, plus a word", function()
  assert.equal("400000003f800000", checksum(gpt.tensor { 1.0, 2.0 }))
  local both = 0x400000003f800000 * 31 + 0x408000003f800000
  assert.equal(("%016x"):format(both), checksum(gpt.tensor { { 1.0, 2.0 }, { 1, 4 } }))
end)
