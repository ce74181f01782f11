local Stop = require "gpt.generate.stop"

-- What Stop finds, written out: in the whole text.
local function beginning(text, word)
  for n = math.min(#text, #word - 1), 1, -1 do
    if text:sub(-n) == word:sub(1, n) then return n end
  end
  return 0
end

local function by_hand(text, strings)
  local first, held = nil, 0
  for _, word in ipairs(strings) do
    local at = text:find(word, 1, true)
    if at and (not first or at < first) then first = at end
    held = math.max(held, beginning(text, word))
  end
  return first, held
end

local function words(strings)
  local list = {}
  for i, each in ipairs(strings) do list[i] = Stop.word(each) end
  return list
end

local function letters(most, alphabet)
  local list = {}
  for i = 1, most do list[i] = string.char(96 + math.random(alphabet)) end
  return table.concat(list)
end

-- Pieces that come until a word is there.
local function compare(strings, pieces, shared)
  local stop, text = Stop.new(shared), ""
  for _, piece in ipairs(pieces) do
    local before = #text
    text = text .. piece
    local at, held = stop:add(piece)
    local first, waiting = by_hand(text, strings)
    local case = ("%s in %s"):format(table.concat(strings, ", "), table.concat(pieces, "|"))
    assert.equal(first, at and before + at, case)
    if first then return end
    assert.equal(waiting, held, case)
  end
end

describe("stop strings", function()
  it("are found where they begin first, and held where they may begin, however the text is cut", function()
    math.randomseed(7)
    for _ = 1, 1500 do
      local alphabet, strings = math.random(3), {}
      for i = 1, math.random(3) do strings[i] = letters(math.random(7), alphabet) end
      local shared = words(strings)
      for _ = 1, 3 do
        local pieces = {}
        for i = 1, 12 do pieces[i] = letters(math.random(0, 4), alphabet) end
        compare(strings, pieces, shared)
      end
    end
  end)

  it("that repeat themselves, in text that does, take a look at each byte", function()
    local strings = {}
    for i = 1, 16 do strings[i] = (" "):rep(30000 + i) .. "x" end
    local stop = Stop.new(words(strings))
    for n = 1, 40000 do
      local at, held = stop:add " "
      assert(at == nil and held == math.min(n, 30016))
    end
    assert.same({ -30015, 0 }, { stop:add "x" })
  end)

  it("that a text never comes to cost nothing but themselves", function()
    local word = Stop.word(("a"):rep(1000000))
    Stop.new({ word }):add(("a"):rep(100) .. "b")
    assert.equal(100, #word.borders)
  end)
end)
