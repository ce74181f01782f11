-- Numbers read from a file are held once in a process, until somebody writes.
local gpt = require "gpt"
local files = require "spec.support.files"
local json = require "gpt.support.json"
local safetensors = require "gpt.safetensors"

local COUNT = 50000
local BYTES = 4 * COUNT

describe("two readings of a file", function()
  local directory, path

  setup(function()
    directory = files.directory()
    path = directory .. "/weights.safetensors"
  end)

  teardown(function() files.remove(directory) end)

  -- A file whose only tensor lies unaligned, with the numbers first, first + 1, ...
  local function write(first)
    local header = json.encode { a = { dtype = "F32", shape = json.array { COUNT // 100, 100 },
      data_offsets = json.array { 0, BYTES } } }
    header = header .. (" "):rep(1 - #header % 4 + 4)
    local numbers = gpt.arange(first + 0.0, first + COUNT - 1.0)
    files.write(path, string.pack("<I8", #header) .. header .. numbers:bytes())
  end

  local function read()
    local opened <close> = safetensors.open(path)
    return safetensors.read(opened.by_name.a, true)
  end

  local function growth(fn)
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    local result = fn()
    return gpt.memory().live - before, result
  end

  it("share it, each with a copy of its own once it is written into", function()
    write(1)
    os.execute "sleep 0.15" -- until the file is settled
    local first_bytes, a = growth(read)
    local second_bytes, b = growth(read)
    assert.is_true(first_bytes >= BYTES and first_bytes < BYTES + 2000)
    assert.is_true(second_bytes < 2000)
    local row, own = a[2], nil
    local written = growth(function()
      a[2] = 7
      own = row:clone()
      return own
    end)
    assert.is_true(written >= BYTES)
    assert.same(own:totable(), gpt.full({ 100 }, 7.0):totable()) -- a view that was there before sees it
    assert.equal(101, b[2][1]:item())
    assert.equal(101, read()[2][1]:item())
    assert.equal(1, a[1][1]:item())
    a:free()
    row:free()
    b:fill(3) -- the last holder takes it
    assert.equal(3, b[500][100]:item())
    assert.equal(101, read()[2][1]:item())
  end)

  it("share it where the limit of memory has no room for another copy", function()
    write(1)
    os.execute "sleep 0.15"
    local a <close> = read()
    collectgarbage()
    collectgarbage()
    gpt.memory { limit = gpt.memory().live + BYTES // 2 }
    local ok, b = pcall(read)
    gpt.memory { limit = 0 }
    assert.is_true(ok, not ok and b or nil)
    assert.equal(101, b[2][1]:item())
    assert.equal(1, a[1][1]:item())
  end)

  it("are of one state of the file", function()
    write(1)
    local a = read()
    write(1000) -- as long, perhaps within a tick of the clock
    local b = read()
    assert.equal(1, a[1][1]:item())
    assert.equal(1000, b[1][1]:item())
    os.execute "sleep 0.15"
    local c = read()
    write(2000)
    os.execute "sleep 0.15"
    assert.equal(2000, read()[1][1]:item())
    assert.equal(1000, c[1][1]:item())
  end)

  it("are trained apart", function()
    write(0)
    os.execute "sleep 0.15"
    local a, b = read(), read()
    a:requires_grad(true)
    local optimizer = gpt.optim.AdamW({ a }, { lr = 0.5, weight_decay = 0 })
    a:sum():backward()
    optimizer:step()
    assert.equal(-0.5, math.floor(a[1][1]:item() * 1000 + 0.5) / 1000)
    assert.equal(0, b[1][1]:item())
    assert.equal(0, read()[1][1]:item())
  end)

  it("let go of it with the last holder", function()
    write(5)
    os.execute "sleep 0.15"
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    do
      local a <close> = read()
      local b <close> = read()
      assert.equal(10, a[1][1]:item() + b[1][1]:item())
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(gpt.memory().live < before + 5000)
  end)
end)
