local build = require "spec.support.gguf"
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local measure = require "spec.support.measure"
local raised = require "spec.support.raised"

local FIXTURES = "spec/fixtures/gguf/"
local fixture = json.decode(files.read(FIXTURES .. "gguf.json"))
local DTYPES = { f64 = "f32", i8 = "i64", i16 = "i64", i32 = "i64" } -- what others become

local place, path

-- What reading a file of these bytes raises, without its name.
local function refusal(bytes)
  files.write(path, bytes)
  local text = raised(gpt.read_gguf, path)
  assert.is_true(#text < 2000)
  assert.equal(path .. ": ", text:sub(1, #path + 2))
  return text:sub(#path + 3)
end

local function read(parts)
  files.write(path, build.file(parts))
  return gpt.read_gguf(path)
end

local function floats(...)
  return string.pack("<" .. ("f"):rep(select("#", ...)), ...)
end

local function counts()
  collectgarbage()
  collectgarbage()
  local memory = gpt.memory()
  return { memory.live, memory.mapped }
end

describe("gpt.read_gguf", function()
  setup(function()
    place = files.directory()
    path = place .. "/model.gguf"
  end)
  teardown(function() files.remove(place) end)

  it("reads values of every type", function()
    local metadata = gpt.read_gguf(FIXTURES .. "values.gguf").metadata
    for _, bits in ipairs { 8, 16, 32 } do
      assert.equal(0, metadata[("number.uint%d.low"):format(bits)])
      assert.equal((1 << bits) - 1, metadata[("number.uint%d.high"):format(bits)])
      assert.equal(-(1 << bits - 1), metadata[("number.int%d.low"):format(bits)])
      assert.equal((1 << bits - 1) - 1, metadata[("number.int%d.high"):format(bits)])
    end
    assert.equal(math.mininteger, metadata["number.int64.low"])
    assert.equal(math.maxinteger, metadata["number.int64.high"])
    assert.equal(math.maxinteger, metadata["number.uint64.half"])
    assert.equal("integer", math.type(metadata["number.uint64.half"]))
    assert.equal(2.0 ^ 64, metadata["number.uint64.high"])
    assert.equal(string.unpack("<f", floats(0.1)), metadata["number.float32"])
    assert.equal(0.1, metadata["number.float64"])
    assert.is_true(metadata["truth.yes"])
    assert.is_false(metadata["truth.no"])
    assert.equal("", metadata["text.empty"])
    local every = {}
    for byte = 0, 255 do every[#every + 1] = string.char(byte) end
    assert.equal(table.concat(every), metadata["text.bytes"])
    assert.same(gpt.arange(-50, 49):totable(), metadata["list.numbers"])
    assert.same({ 0.5, -1.5 }, metadata["list.floats"])
    assert.same({ true, false, true }, metadata["list.truths"])
    assert.same({ "one", "", "three" }, metadata["list.texts"])
    assert.same({ { 1, 2 }, { 3 }, { { "deep" } } }, metadata["list.lists"])
  end)

  it("reads tensors in their own types, [out, in], as the gguf package does", function()
    local file = gpt.read_gguf(FIXTURES .. "values.gguf")
    local count = 0
    for name, expected in pairs(fixture.tensors) do
      local tensor = file.tensors[name]
      count = count + 1
      assert.same(expected.shape, tensor:shape())
      assert.equal(DTYPES[expected.dtype] or expected.dtype, tensor:dtype())
      local numbers = tensor:dtype() == "i64" and tensor or tensor:float()
      assert.same(expected.first, numbers:reshape(-1):narrow(1, 1, #expected.first):totable())
    end
    assert.equal(18, count)
  end)

  it("maps them, and a write changes this process's copy alone", function()
    local before = counts()
    local file = gpt.read_gguf(FIXTURES .. "untied.gguf")
    local after = counts()
    assert.is_true(after[1] - before[1] < 30000)
    assert.is_true(after[2] - before[2] > 40000)
    local norm = file.tensors["output_norm.weight"]
    local number = norm[1]:item()
    norm:fill(7)
    assert.equal(number, gpt.read_gguf(FIXTURES .. "untied.gguf").tensors["output_norm.weight"][1]:item())
  end)

  it("reads version 2, which lies the same way", function()
    local text = files.read(FIXTURES .. "untied.gguf")
    files.write(path, text:sub(1, 4) .. string.pack("<I4", 2) .. text:sub(9))
    local file, other = gpt.read_gguf(path), gpt.read_gguf(FIXTURES .. "untied.gguf")
    assert.same(other.metadata, file.metadata)
    assert.equal(other.tensors["output.weight"]:bytes(), file.tensors["output.weight"]:bytes())
  end)

  it("reads what has no keys, no tensors, no elements, no dimensions; any order, holes, any alignment", function()
    assert.same({ {}, {} }, { read({}).metadata, read({}).tensors })
    local file = read {
      pairs = { build.pair("general.alignment", "u32", 8) }, alignment = 8,
      tensors = { build.tensor("b", { 2 }, 0, 24), build.tensor("none", { 3, 0 }, 0, 8), build.tensor("a", {}, 0, 8) },
      data = ("x"):rep(8) .. floats(5) .. ("x"):rep(12) .. floats(1, 2),
    }
    assert.same({ 1, 2 }, file.tensors.b:totable())
    assert.same({ 0, 3 }, file.tensors.none:shape())
    assert.equal(5, file.tensors.a:item())
    file = read {
      pairs = { build.pair("general.alignment", "u32", 1) }, alignment = 1,
      tensors = { build.tensor("odd", { 2 }, 0, 3), build.tensor("q", { 32 }, 8, 11) },
      data = "xxx" .. floats(1, 2) .. "\0\x3c" .. ("\1"):rep(32),
    }
    assert.same({ 1, 2 }, file.tensors.odd:totable())
    assert.equal(32, file.tensors.q:float():sum():item())
  end)

  it("prints", function()
    local text = tostring(read {
      pairs = {
        build.pair("name", "string", "short\n"), build.pair("a.long", "string", ("long"):rep(50)),
        build.array("a.list", "u32", { 1, 2 }), build.array("tokens", "string", gpt.arange(1, 500):totable()),
        build.pair("number", "f32", 0.1), build.pair("b.flag", "bool", 1), build.array("none", "u8", {}),
      },
      tensors = { build.tensor("blk.10.x", { 32, 2 }, 8, 0), build.tensor("blk.2.x", { 2 }, 0, 96) },
      data = ("\0"):rep(128),
    })
    assert.equal([[
{
  metadata = {
    ["a.list"] = { 1, 2 },
    ["a.long"] = "longlonglonglonglonglonglonglonglonglonglonglonglonglonglong" .. ...,
    ["b.flag"] = true,
    name = "short\n",
    none = {},
    number = 0.1,
    tokens = { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", ... },  -- 500 items
  },
  tensors = {
    ["blk.2.x"] = tensor [2] f32,
    ["blk.10.x"] = tensor [2, 32] q8_0,
  },
}]], text)
    local many = {}
    for i = 1, 100 do many[i] = build.pair("key" .. i, "u8", i) end
    text = tostring(read({ pairs = many }).metadata)
    assert.matches("\n  key20 = 20,\n  %-%- and 60 more\n  key81 = 81,\n", text)
    assert.equal("{}", tostring(read({}).tensors))
  end)

  it("gives every byte back, also where it fails", function()
    local before = counts()
    gpt.read_gguf(FIXTURES .. "values.gguf")
    assert.same(before, counts())
    local text = files.read(FIXTURES .. "values.gguf")
    for _, cut in ipairs { 3, 30, 700, 2000, #text - 100 } do refusal(text:sub(1, cut)) end
    assert.same(before, counts())
  end)

  describe("refuses", function()
    it("what is no file's name, and what is no file", function()
      assert.equal("gpt.read_gguf: a file's name expected, got 7", raised(gpt.read_gguf, 7))
      assert.equal(place .. "/none: No such file or directory", raised(gpt.read_gguf, place .. "/none"))
      assert.equal(place .. ": not a regular file, but a directory", raised(gpt.read_gguf, place))
    end)

    it("another format, another machine's order of bytes, another version", function()
      assert.equal("not a GGUF file: it has 0 bytes", refusal "")
      assert.equal('not a GGUF file: it begins with "ggml"', refusal "ggmlxxxxxxxxxxxxxxxx")
      assert.equal("cut short: the version would take 4 bytes from byte 4 on, 2 are there", refusal "GGUF\3\0")
      assert.equal("GGUF version 1; what can be read is 2 and 3", refusal(build.file { version = 1 }))
      assert.equal("GGUF version 4; what can be read is 2 and 3", refusal(build.file { version = 4 }))
      assert.equal("GGUF version 0; what can be read is 2 and 3", refusal(build.file { version = 0 }))
      assert.equal("a GGUF file of a big-endian machine, which is not supported; the gguf package's "
        .. "gguf-convert-endian makes it a little-endian one", refusal(string.pack(">c4I4I8I8", "GGUF", 3, 0, 0)))
    end)

    it("counts that no file has", function()
      assert.equal("1048577 tensors; at most 1048576 are allowed", refusal(build.file { counts = { 1048577, 0 } }))
      assert.equal("18446744073709551615 keys; at most 1048576 are allowed", refusal(build.file { counts = { 0, -1 } }))
      assert.equal("cut short: 1048576 tensors do not fit into 24 bytes", refusal(build.file { counts = { 1048576, 0 } }))
      assert.equal("cut short: 2 keys do not fit into 46 bytes",
        refusal(build.file { counts = { 0, 2 }, pairs = { build.pair("k", "string", "v") } }))
    end)

    it("keys without a name, with a long one, and those that come twice", function()
      local a = build.pair("a", "u8", 1)
      assert.equal('key "a" comes twice', refusal(build.file { pairs = { a, build.pair("b", "u8", 2), a } }))
      assert.equal("key 2 of 2 has an empty name", refusal(build.file { pairs = { a, build.pair("", "u8", 2) } }))
      assert.equal("key 2 of 2: a name of 65536 bytes; at most 65535 are allowed",
        refusal(build.file { pairs = { a, build.pair(("x"):rep(65536), "u8", 2) } }))
      assert.equal("key 1 of 1: cut short: a name would take 9 bytes from byte 32 on, 7 are there",
        refusal(build.file { counts = { 0, 1 }, data = "" }:sub(1, 24) .. string.pack("<I8", 9) .. "general"))
    end)

    it("values that are not what they seem", function()
      local function value(bytes) return refusal(build.file { pairs = { string.pack("<s8", "k\n") .. bytes .. "\0" } }) end
      assert.equal([[key "k\x0A": the format has no values of type 13]], value(string.pack("<I4I8", 13, 0)))
      assert.equal([[key "k\x0A": a truth value is 0 or 1, not 2]], value(string.pack("<I4I1", 7, 2)))
      assert.equal([[key "k\x0A": cut short: a string would take 18446744073709551615 bytes from byte 46 on, 1 are there]],
        value(string.pack("<I4i8", 8, -1)))
      assert.equal([[key "k\x0A": cut short: a number would take 8 bytes from byte 38 on, 4 are there]],
        value(string.pack("<I4I3", 12, 0)))
      assert.equal([[key "k\x0A": cut short: 4611686018427387904 elements from byte 50 on, the file ends at 51]],
        value(string.pack("<I4I4I8", 9, 6, 1 << 62)))
      assert.equal([[key "k\x0A": cut short: 2 elements from byte 50 on, the file ends at 51]],
        value(string.pack("<I4I4I8", 9, 8, 2)))
      assert.equal([[key "k\x0A": the format has no values of type 99]], value(string.pack("<I4I4I8", 9, 99, 0)))
      assert.equal([[key "k\x0A": a truth value is 0 or 1, not 9]], value(string.pack("<I4I4I8I1I1I1", 9, 7, 3, 1, 0, 9)))
    end)

    it("arrays more than 8 deep", function()
      local function nested(depth)
        local bytes = string.pack("<s8I4", "k", 9)
        for _ = 2, depth do bytes = bytes .. string.pack("<I4I8", 9, 1) end
        return build.file { pairs = { bytes .. string.pack("<I4I8I1", 0, 1, 7) } }
      end
      files.write(path, nested(8))
      local value = gpt.read_gguf(path).metadata.k
      for _ = 1, 8 do value = value[1] end
      assert.equal(7, value)
      assert.equal('key "k": arrays lie more than 8 deep in each other', refusal(nested(9)))
      assert.equal('key "k": arrays lie more than 8 deep in each other', refusal(nested(5000)))
    end)

    it("an alignment that is none, and parts of a split model", function()
      local message = "general.alignment is not a power of two as a u32"
      for _, bad in ipairs { { "u32", 0 }, { "u32", 48 }, { "u64", 32 }, { "string", "32" } } do
        assert.equal(message, refusal(build.file { pairs = { build.pair("general.alignment", table.unpack(bad)) } }))
      end
      assert.equal("part 2 of a model that is split into 3 files (split.count), which is not supported; llama.cpp's "
        .. "llama-gguf-split --merge joins them", refusal(build.file { pairs = { build.pair("split.no", "u16", 1),
        build.pair("split.count", "u16", 3) } }))
      assert.matches("^part 1 of a model that is split into 2 files", refusal(build.file { pairs = {
        build.pair("split.count", "u16", 2) } }))
      assert.equal(1, read({ pairs = { build.pair("split.count", "u16", 1) } }).metadata["split.count"])
    end)

    it("tensors of unknown types, of types that are not implemented, and of shapes that are none", function()
      local function tensor(...) return refusal(build.file { tensors = { build.tensor("x", ...) }, data = ("\0"):rep(512) }) end
      assert.equal('tensor "x": the format has no tensors of type 4', tensor({ 1 }, 4, 0))
      assert.equal('tensor "x": the format has no tensors of type 4294967295', tensor({ 1 }, 0xffffffff, 0))
      for number, name in pairs { [9] = "q8_1", [10] = "q2_k", [16] = "iq2_xxs", [39] = "mxfp4" } do
        assert.equal(('tensor "x" is %s, which is not implemented'):format(name), tensor({ 256 }, number, 0))
      end
      assert.equal('tensor "x": 5 dimensions; the format has at most 4', tensor({ 1, 1, 1, 1, 1 }, 0, 0))
      assert.equal('tensor "x": no file holds [-1, 2] of f32', tensor({ 2, -1 }, 0, 0))
      assert.equal('tensor "x": no file holds [4294967296, 4294967296] of q8_0', tensor({ 1 << 32, 1 << 32 }, 8, 0))
      assert.equal('tensor "x": no file holds [4611686018427387904] of f32', tensor({ 1 << 62 }, 0, 0))
      assert.equal('tensor "x": no file holds [0, 4294967296, 4294967296] of i8', tensor({ 1 << 32, 1 << 32, 0 }, 24, 0))
      assert.equal('tensor "x": no file holds [288230376151711744, 0] of i8', tensor({ 0, 1 << 58 }, 24, 0))
      assert.equal('tensor "x": [2, 48] of q4_0, whose rows are multiples of 32', tensor({ 48, 2 }, 2, 0))
      assert.equal('tensor "x": [] of q8_0, whose rows are multiples of 32', tensor({}, 8, 0))
    end)

    it("tensors that lie outside the file, unaligned, or over each other, and names that come twice", function()
      local function tensors(list, size) return refusal(build.file { tensors = list, data = ("\0"):rep(size) }) end
      local x = build.tensor("x", { 8 }, 0, 0)
      assert.equal('tensor "x": cut short: 32 bytes at position 0 behind byte 64, the file ends at 95', tensors({ x }, 31))
      assert.equal('tensor "x": cut short: 32 bytes at position 18446744073709551584 behind byte 64, the file ends at 96',
        tensors({ build.tensor("x", { 8 }, 0, -32) }, 32))
      assert.equal('tensor "x": its position 16 is not a multiple of the alignment, 32',
        tensors({ build.tensor("x", { 8 }, 0, 16) }, 64))
      assert.equal('tensors "x" and "y" overlap: 64 bytes at 96 and 4 at 128',
        tensors({ build.tensor("y", { 1 }, 0, 32), build.tensor("x", { 16 }, 0, 0) }, 64))
      assert.equal('tensors "x" and "y" overlap: 33 bytes at 96 and 4 at 128',
        tensors({ build.tensor("x", { 33 }, 24, 0), build.tensor("y", { 1 }, 0, 32) }, 64))
      assert.equal('tensor "x" comes twice', tensors({ x, build.tensor("x", { 1 }, 0, 32) }, 64))
      assert.equal("tensor 2 of 2: a name of 70000 bytes; at most 65535 are allowed",
        tensors({ x, build.tensor(("n"):rep(70000), { 1 }, 0, 32) }, 64))
      assert.equal('tensor "x": cut short: a shape would take 8 bytes from byte 37 on, 5 are there',
        refusal(build.file { counts = { 1, 0 }, tensors = { x } }:sub(1, 42) .. ""))
    end)
  end)

  -- Every cut, and every byte of the header set to a few values: an error that names the file, or a file that reads.
  it("survives any damage", function()
    local whole = build.file {
      pairs = {
        build.pair("general.architecture", "string", "x"), build.pair("general.alignment", "u32", 32),
        build.array("list", "string", { "a", "bc" }), string.pack("<s8I4I4I8I4I8I2", "deep", 9, 9, 1, 3, 1, 5),
        build.pair("flag", "bool", 1), build.pair("number", "f64", 1.5),
      },
      tensors = { build.tensor("a", { 2, 2 }, 0, 0), build.tensor("b", { 32 }, 8, 32), build.tensor("c", {}, 1, 96) },
      data = ("\1"):rep(98),
    }
    local before, good, bad = counts(), 0, 0
    local function try(bytes)
      files.write(path, bytes)
      local done, result = pcall(gpt.read_gguf, path)
      if done then
        good = good + 1
        tostring(result)
        for _, tensor in pairs(result.tensors) do tensor:bytes() end
      else
        bad = bad + 1
        assert.matches(path .. ": ", result, 1, true)
        assert.is_true(#result < 2000)
      end
    end
    for cut = 0, #whole - 1 do try(whole:sub(1, cut)) end
    for at = 1, #whole - 98 do
      for _, byte in ipairs { 0, 9, 0xff } do
        try(whole:sub(1, at - 1) .. string.char(byte) .. whole:sub(at + 1))
      end
    end
    assert.is_true(good > 200 and bad > 900)
    assert.same(before, counts())
  end)
end)

describe("gpt.read_safetensors", function()
  setup(function()
    place = files.directory()
    path = place .. "/t.safetensors"
  end)
  teardown(function() files.remove(place) end)

  it("reads what gpt.write_safetensors writes, in the tensors' own types", function()
    local tensors = {
      a = gpt.randn(2, 3), half = gpt.randn(4):to "f16", brain = gpt.randn(2, 2):to "bf16", ids = gpt.tensor { 1, -2 },
      turned = gpt.randn(3, 2):transpose(1, 2),
    }
    gpt.write_safetensors(path, tensors, { note = "mine" })
    local file = gpt.read_safetensors(path)
    assert.same({ note = "mine" }, file.metadata)
    for name, tensor in pairs(tensors) do
      assert.equal(tensor:dtype(), file.tensors[name]:dtype())
      assert.same(tensor:shape(), file.tensors[name]:shape())
      assert.equal(tensor:bytes(), file.tensors[name]:bytes())
      file.tensors[name] = nil
    end
    assert.is_nil(next(file.tensors))
    gpt.write_safetensors(path, {})
    assert.equal('{\n  metadata = {\n    format = "pt",\n  },\n  tensors = {},\n}', tostring(gpt.read_safetensors(path)))
  end)

  it("reads small whole numbers and truth values as i64", function()
    local header = '{"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},"s":{"dtype":"I16","shape":[2],'
      .. '"data_offsets":[2,6]},"t":{"dtype":"U8","shape":[1],"data_offsets":[6,7]},"u":{"dtype":"U16","shape":[1],'
      .. '"data_offsets":[7,9]},"v":{"dtype":"I8","shape":[2],"data_offsets":[9,11]},"w":{"dtype":"U32","shape":[1],'
      .. '"data_offsets":[11,15]},"x":{"dtype":"I32","shape":[1],"data_offsets":[15,19]}}'
    files.write(path, string.pack("<s8", header) .. string.pack("<I1I1i2i2I1I2i1i1I4i4", 1, 0, -2, 300, 255, 65535, -128,
      127, 4294967295, -7))
    local tensors = gpt.read_safetensors(path).tensors
    local expected = { b = { 1, 0 }, s = { -2, 300 }, t = { 255 }, u = { 65535 }, v = { -128, 127 }, w = { 4294967295 },
      x = { -7 } }
    for name, values in pairs(expected) do
      assert.equal("i64", tensors[name]:dtype())
      assert.same(values, tensors[name]:totable())
    end
  end)

  it("refuses what the format does not have, and slips", function()
    local write, tensor = gpt.write_safetensors, gpt.ones(32)
    assert.equal("gpt.write_safetensors: x is q8_0, which safetensors files do not have; tensor:to \"f16\" or \"f32\" "
      .. "converts it, and a .gguf file holds it", raised(write, path, { x = tensor:to "q8_0" }))
    assert.equal("gpt.write_safetensors: a file's name expected, got nil", raised(write, nil, {}))
    assert.equal("gpt.write_safetensors: a table of tensors by name expected, got a gpt.Tensor",
      raised(write, path, tensor))
    assert.equal("gpt.write_safetensors: [1] is no name", raised(write, path, { tensor }))
    assert.equal("gpt.write_safetensors: x: a tensor expected, got 3", raised(write, path, { x = 3 }))
    assert.equal("gpt.write_safetensors: a table of metadata expected, got 3", raised(write, path, {}, 3))
    assert.equal('gpt.write_safetensors: metadata: strings by name expected, got ["a"] = 1',
      raised(write, path, {}, { a = 1 }))
    assert.equal("gpt.read_safetensors: a file's name expected, got nil", raised(gpt.read_safetensors))
  end)

  it("gives every byte back", function()
    local before = measure.live()
    gpt.write_safetensors(path, { a = gpt.randn(100) })
    gpt.read_safetensors(path)
    assert.equal(before, measure.live())
  end)
end)
