local core = require "gpt.core"
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local process = require "spec.support.process"
local safetensors = require "gpt.safetensors"

local directory, path

local function raw(bytes)
  files.write(path, bytes)
  return path
end

-- A file from its header, text or value, and its data.
local function build(header, data)
  local text = type(header) == "string" and header or json.encode(header)
  return raw(string.pack("<I8", #text) .. text .. (data or ""))
end

local function floats(...)
  return string.pack("<" .. ("f"):rep(select("#", ...)), ...)
end

local function entry(dtype, shape, first, last)
  return { dtype = dtype, shape = json.array(shape), data_offsets = { first, last } }
end

-- What opening the file raises.
local function refusal()
  local ok, message = pcall(load("require('gpt.safetensors').open(...)", "=user"), path)
  assert.is_false(ok)
  return (message:gsub("^user:1: ", ""):gsub("^.-/[^/]*%.safetensors", "FILE"))
end

-- The numbers of a file's tensor.
local function read(name, view)
  local opened <close> = safetensors.open(path)
  local tensor = safetensors.read(opened.by_name[name], view)
  local bytes, values = tensor:float():bytes(), {}
  for position = 1, #bytes, 4 do values[#values + 1] = string.unpack("<f", bytes, position) end
  return values
end

describe("safetensors", function()
  setup(function()
    directory = files.directory()
    path = directory .. "/model.safetensors"
  end)
  teardown(function() files.remove(directory) end)

  describe("reading", function()
    it("takes what the format allows", function()
      build({
        __metadata__ = { format = "pt", note = "é" },
        b = entry("F32", { 2, 2 }, 8, 24), a = entry("I64", {}, 0, 8), none = entry("F32", { 0, 3 }, 24, 24),
        flags = entry("BOOL", { 3 }, 24, 27),
      }, string.pack("<i8", -5) .. floats(1, 2, 3, 4) .. "\1\0\1")
      local opened <close> = safetensors.open(path)
      local names = {}
      for i, item in ipairs(opened.entries) do names[i] = item.name end
      assert.same({ "a", "b", "none", "flags" }, names)
      assert.same({ 2, 2 }, opened.by_name.b.shape)
      assert.same({ format = "pt", note = "é" }, opened.metadata)
      assert.same({ 1, 2, 3, 4 }, read("b", true))
      assert.same({}, read("none", true))
      assert.equal(string.pack("<i8", -5), safetensors.read(opened.by_name.a, true):bytes())
    end)

    it("takes an empty file of no tensors, null metadata, padding, and keys that it does not know", function()
      build("{}      ")
      assert.same({}, safetensors.open(path).entries)
      build('{"__metadata__":null,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":[]}}', "x")
      assert.equal(1, #safetensors.open(path).entries)
    end)

    it("maps aligned float32, copies unaligned, and gives the same numbers", function()
      for padding = 0, 3 do
        build('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}' .. (" "):rep(padding), floats(1, -2.5, 3e30))
        collectgarbage()
        collectgarbage()
        local opened = safetensors.open(path)
        local item, before = opened.entries[1], gpt.memory().live
        local tensor = safetensors.read(item, true)
        local grown = gpt.memory().live - before
        opened:close()
        assert.equal(floats(1, -2.5, 3e30), tensor:bytes())
        assert.equal(item.offset % 4 == 0, gpt.memory().mapped > 0)
        assert.is_true(grown > 0)
        assert.same({ 1, -2.5, read("a", false)[3] }, read("a", true))
      end
    end)

    it("keeps float16 and bfloat16, mapped or not, and makes float32 of float64, exactly", function()
      build({ a = entry("F16", { 8 }, 0, 16) },
        string.pack("<I2I2I2I2I2I2I2I2", 0x3c00, 0xc000, 0x0001, 0x83ff, 0x7bff, 0x7c00, 0xfc00, 0x8000))
      local values = read("a", true)
      local expected = { 1.0, -2.0, 2.0 ^ -24, -1023 * 2.0 ^ -24, 65504.0, math.huge, -math.huge }
      assert.same(expected, { table.unpack(values, 1, 7) })
      assert.equal(-math.huge, 1 / values[8])
      build({ a = entry("F16", { 2 }, 0, 4) }, string.pack("<I2I2", 0x7e00, 0x7c01))
      values = read("a", true)
      assert.is_true(values[1] ~= values[1] and values[2] ~= values[2])
      build({ a = entry("BF16", { 2, 2 }, 0, 8) }, string.pack("<I2I2I2I2", 0x3f80, 0xc040, 0x0001, 0x7f80))
      assert.same({ 1.0, -3.0, 2.0 ^ -133, math.huge }, read("a", true))
      for _, view in ipairs { true, false } do
        local opened <close> = safetensors.open(path)
        local mapped = gpt.memory().live
        local tensor = safetensors.read(opened.by_name.a, view)
        assert.equal("bf16", tensor:dtype())
        assert.is_true(not view or gpt.memory().live - mapped < 1024)
      end
      build({ a = entry("F64", { 2 }, 0, 16) }, string.pack("<dd", 0.5, -1e300))
      assert.same({ 0.5, -math.huge }, read("a", true))
    end)

    it("converts what is large, in pieces, at any alignment", function()
      local count, data = 200001, {}
      for i = 1, count do data[i] = string.pack("<I2", (i * 7919) % 31744) end
      for padding = 0, 1 do
        build(json.encode { a = entry("F16", { count }, 0, 2 * count) } .. (" "):rep(padding), table.concat(data))
        local values = read("a", true)
        for i = 1, count, 1777 do
          local half = (i * 7919) % 31744
          local exponent, rest = half >> 10, half & 1023
          local expected = exponent == 0 and rest * 2.0 ^ -24 or (1024 + rest) * 2.0 ^ (exponent - 25)
          assert.equal(expected, values[i])
        end
        assert.equal(count, #values)
      end
    end)

    it("refuses dtypes that it cannot read, and too many dimensions, by name", function()
      build({ a = entry("U64", { 2 }, 0, 16) }, ("ab"):rep(8))
      assert.error_matches(function() read("a", true) end,
        'model.safetensors: tensor "a" is U64, which is not implemented', 1, true)
      build({ a = entry("F32", { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, 0, 4) }, "abcd")
      assert.error_matches(function() read("a", true) end,
        'model.safetensors: tensor "a" has 9 dimensions, more than 8', 1, true)
    end)

    it("says so where the file was cut short after it was checked, and the tensor is copied", function()
      for _, dtype in ipairs { "F32", "BF16" } do
        local size = dtype == "F32" and 16 or 8
        build({ a = entry(dtype, { 4 }, 0, size) }, ("x"):rep(size))
        local opened <close> = safetensors.open(path)
        raw("gone")
        assert.error_matches(function() safetensors.read(opened.by_name.a, false) end,
          "model.safetensors: cannot be read: it was cut short meanwhile", 1, true)
      end
    end)

    it("gives every byte back", function()
      collectgarbage()
      collectgarbage()
      local before = gpt.memory()
      build({ a = entry("F32", { 2 }, 0, 8) }, floats(1, 2))
      for _, view in ipairs { true, false } do
        read("a", view)
        pcall(safetensors.open, directory)
      end
      collectgarbage()
      collectgarbage()
      assert.equal(before.live, gpt.memory().live)
      assert.equal(before.mapped, gpt.memory().mapped)
    end)
  end)

  describe("refuses", function()
    it("what is no file", function()
      assert.error_matches(function() safetensors.open(directory .. "/none") end, "/none: No such file or directory",
        1, true)
      assert.error_matches(function() safetensors.open(directory) end, ": not a regular file", 1, true)
    end)

    it("a file that is too short for its header", function()
      raw("")
      assert.equal("FILE: not a safetensors file: it has 0 bytes, the header's length alone takes 8", refusal())
      raw("1234567")
      assert.equal("FILE: not a safetensors file: it has 7 bytes, the header's length alone takes 8", refusal())
      raw(string.pack("<I8", 10) .. "{}")
      assert.equal("FILE: cut short, or not a safetensors file: its header would take 10 bytes, 2 are there", refusal())
    end)

    it("a header of a gigabyte, before reading it", function()
      raw(string.pack("<I8", 1 << 30) .. "{}")
      assert.equal("FILE: not a safetensors file: its header would be 1073741824 bytes long, "
        .. "at most 100000000 are allowed", refusal())
      raw(string.pack("<i8", -1) .. "{}")
      assert.matches("its header would be 18446744073709551616 bytes long", refusal(), 1, true)
    end)

    it("a header that is no JSON object", function()
      build(" {}")
      assert.equal("FILE: not a safetensors file: its header does not begin with '{'", refusal())
      build("[]")
      assert.equal("FILE: not a safetensors file: its header does not begin with '{'", refusal())
      build("{]")
      assert.equal("FILE: header: not valid JSON near line 1, column 3: it seems cut short", refusal())
      build('{"\xff":1}')
      assert.equal("FILE: header: not valid JSON near line 1, column 3: not UTF-8", refusal())
      build('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}')
      assert.equal('FILE: header: the key "a" comes twice', refusal())
    end)

    it("metadata that is not of strings", function()
      build '{"__metadata__":[]}'
      assert.equal("FILE: __metadata__ is not an object", refusal())
      build '{"__metadata__":{"x":1}}'
      assert.equal('FILE: __metadata__: "x" is not a string', refusal())
    end)

    it("descriptions of another form", function()
      for description, reason in pairs {
        ["1"] = "its description is not an object",
        ["[]"] = "its description is not an object",
        ["{}"] = "dtype is not a string",
        ['{"dtype":"F31","shape":[],"data_offsets":[0,4]}'] = 'the format has no dtype "F31"',
        ['{"dtype":"F32","data_offsets":[0,4]}'] = "shape is not a list of sizes",
        ['{"dtype":"F32","shape":{},"data_offsets":[0,4]}'] = "shape is not a list of sizes",
        ['{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}'] = "shape is not a list of sizes",
        ['{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}'] = "shape is not a list of sizes",
        ['{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}'] = "shape is not a list of sizes",
        ['{"dtype":"F32","shape":[1]}'] = "data_offsets is not a pair of positions",
        ['{"dtype":"F32","shape":[1],"data_offsets":[0]}'] = "data_offsets is not a pair of positions",
        ['{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}'] = "data_offsets is not a pair of positions",
        ['{"dtype":"F32","shape":[1],"data_offsets":[0,null]}'] = "data_offsets is not a pair of positions",
        ['{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}'] = "data_offsets is not a pair of positions",
        ['{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}'] =
          "data_offsets is not a pair of positions",
      } do
        build('{"a":' .. description .. "}", "1234")
        assert.equal('FILE: tensor "a": ' .. reason, refusal())
      end
    end)

    it("offsets that lie", function()
      build({ a = entry("F32", { 1 }, 4, 0) }, "1234")
      assert.equal('FILE: tensor "a" ends at byte 0, before it begins at 4', refusal())
      build({ a = entry("F32", { 2, 3 }, 0, 20) }, ("x"):rep(20))
      assert.equal('FILE: tensor "a": [2, 3] of F32 takes 24 bytes, its data_offsets hold 20', refusal())
      build({ a = entry("F32", { 2 }, 0, 8) }, "1234567")
      assert.equal('FILE: cut short: tensor "a" ends at byte 8 of the data, 7 are there', refusal())
      build({ a = entry("U8", { 1 << 53 }, 0, 1 << 53) }, "1234567")
      assert.equal('FILE: cut short: tensor "a" ends at byte 9007199254740992 of the data, 7 are there', refusal())
    end)

    it("shapes that overflow", function()
      build({ a = entry("F32", { 1 << 40, 1 << 40 }, 0, 0) })
      assert.equal('FILE: tensor "a": no file holds [1099511627776, 1099511627776] of F32', refusal())
      build({ a = entry("F64", { 1 << 31, 1 << 30 }, 0, 0) })
      assert.equal('FILE: tensor "a": no file holds [2147483648, 1073741824] of F64', refusal())
      for _, shape in ipairs { { 0, 1 << 40, 1 << 40 }, { 1 << 40, 1 << 40, 0 } } do
        build({ a = entry("F16", shape, 0, 0) })
        assert.equal(('FILE: tensor "a": no file holds [%s] of F16'):format(table.concat(shape, ", ")), refusal())
      end
      build({ a = entry("F4", { 3 }, 0, 1) }, "x")
      assert.equal('FILE: tensor "a": no file holds [3] of F4', refusal())
    end)

    it("overlaps, holes and bytes behind the last tensor", function()
      build({ a = entry("U8", { 4 }, 0, 4), b = entry("U8", { 4 }, 2, 6) }, "123456")
      assert.equal('FILE: tensors "a" and "b" overlap: bytes 0 to 4 and 2 to 6 of the data', refusal())
      build({ a = entry("U8", { 4 }, 0, 4), b = entry("U8", { 4 }, 0, 4) }, "1234")
      assert.equal('FILE: tensors "a" and "b" overlap: bytes 0 to 4 and 0 to 4 of the data', refusal())
      build({ a = entry("U8", { 2 }, 1, 3) }, "123")
      assert.equal("FILE: bytes 0 to 1 of the data belong to no tensor", refusal())
      build({ a = entry("U8", { 1 }, 0, 1), b = entry("U8", { 1 }, 2, 3) }, "123")
      assert.equal("FILE: bytes 1 to 2 of the data belong to no tensor", refusal())
      build({ a = entry("U8", { 1 }, 0, 1) }, "123")
      assert.equal("FILE: bytes 1 to 3 of the data belong to no tensor", refusal())
      build("{}", "1")
      assert.equal("FILE: bytes 0 to 1 of the data belong to no tensor", refusal())
    end)

    it("with a short message, however long the names", function()
      build({ [("n"):rep(100000)] = entry("U8", { 2 }, 1, 3) , [("m"):rep(100000)] = entry("U8", { 2 }, 1, 3) }, "123")
      assert.is_true(#refusal() < 2000)
      build({ [("n"):rep(100000)] = 1 })
      assert.equal('FILE: tensor "' .. ("n"):rep(99) .. '...": its description is not an object', refusal())
    end)
  end)

  describe("writing", function()
    local function source()
      build({ a = entry("F32", { 2, 3 }, 0, 24), n = entry("I64", { 1 }, 24, 32) },
        floats(1, 2, 3, 4, 5, 6) .. string.pack("<i8", 7))
      local opened <close> = safetensors.open(path)
      return safetensors.read(opened.by_name.a, false), safetensors.read(opened.by_name.n, false)
    end

    it("gives files that read back, aligned, with metadata format pt", function()
      local a, n = source()
      safetensors.write(path, {
        { name = "x", shape = { 2, 3 }, tensor = a },
        { name = "turned", shape = { 3, 2 }, make = function() return a:transpose(1, 2) end },
        { name = "n", shape = { 1 }, dtype = "i64", tensor = n },
      })
      assert.same({ 1, 2, 3, 4, 5, 6 }, read("x", true))
      assert.same({ 1, 4, 2, 5, 3, 6 }, read("turned", true))
      local opened <close> = safetensors.open(path)
      assert.same({ format = "pt" }, opened.metadata)
      assert.equal(0, opened.entries[1].offset % 8)
      assert.same({ "I64", 8 }, { opened.by_name.n.dtype, opened.by_name.n.last - opened.by_name.n.first })
      assert.same({ "model.safetensors" }, files.list(directory))
    end)

    it("leaves the old file whole and no other where it fails", function()
      local a = source()
      local before = files.read(path)
      local items = {
        { name = "x", shape = { 2, 3 }, tensor = a },
        { name = "y", shape = { 1 }, make = function() error "no" end },
      }
      assert.error_matches(function() safetensors.write(path, items) end, "no", 1, true)
      assert.equal(before, files.read(path))
      assert.same({ "model.safetensors" }, files.list(directory))
    end)

    it("says why it cannot", function()
      assert.error_matches(function() safetensors.write(directory .. "/none/x", {}) end,
        "/none/x: cannot be written: No such file or directory", 1, true)
      files.write(directory .. "/plain", "")
      assert.error_matches(function() safetensors.write(directory .. "/plain/x", {}) end,
        "/plain/x: cannot be written: Not a directory", 1, true)
      files.remove(directory .. "/plain")
      assert(os.execute("mkdir " .. directory .. "/taken"))
      assert.error_matches(function() safetensors.write(directory .. "/taken", {}) end,
        "/taken: cannot be written: it is a directory", 1, true)
      files.remove(directory .. "/taken")
    end)

    it("survives a full disk", function()
      local a = source()
      safetensors.write(path, { { name = "x", shape = { 2, 3 }, tensor = a } })
      local before = files.read(path)
      local script = directory .. "/script.lua"
      files.write(script, ([[
        local safetensors = require "gpt.safetensors"
        local opened = safetensors.open(%q)
        local tensor, items = safetensors.read(opened.entries[1], true), {}
        for i = 1, 1000 do items[i] = { name = "x" .. i, shape = { 2, 3 }, tensor = tensor } end
        io.write(select(2, pcall(safetensors.write, %q, items)))
      ]]):format(path, path))
      -- A limit on a file's size stands for the disk; lua5.4 then gets an error instead of a signal.
      local output = process.lua(([[
        local pipe = io.popen("trap '' XFSZ; ulimit -f 8; lua5.4 %s")
        io.write(pipe:read("a"))
      ]]):format(script))
      assert.matches("model.safetensors: cannot be written: File too large", output, 1, true)
      assert.equal(before, files.read(path))
      files.remove(script)
      assert.same({ "model.safetensors" }, files.list(directory))
    end)
  end)

  it("leaves nothing of the core's files open to be misused", function()
    local file = core._map_file(raw("abc"))
    assert.is_nil(file:bytes(1, 3))
    assert.is_nil(file:bytes(-1, 1))
    assert.is_nil(file:bytes(math.maxinteger, math.maxinteger))
    assert.equal("bc", file:bytes(1, 2))
    for message, shape in pairs {
      ["a tensor outside its file"] = { 1 },
      ["a tensor of shape [4611686018427387904, 4] is too large"] = { 1 << 62, 4 },
      ["a shape has no negative sizes, got [-1]"] = { -1 },
    } do
      assert.error_matches(function() file:tensor(0, "F32", shape, true) end, message, 1, true)
    end
    assert.error_matches(function() file:tensor(0, "U64", { 1 }, true) end, "a type of safetensors or of numpy files expected", 1,
      true)
    file:close()
    assert.error_matches(function() file:bytes(0, 1) end, "this gpt.MappedFile was freed", 1, true)
  end)
end)
