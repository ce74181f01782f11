local files = require "spec.support.files"
local gpt = require "gpt"
local message_of = require "spec.support.raised"

local FOLDER = "spec/fixtures/npy/"

local DTYPES = { f2 = "f16", f4 = "f32", f8 = "f32" }

local function numbers(first)
  local list = {}
  for i = 1, 12 do list[i] = first + i - 1 end
  return gpt.tensor(list):view(2, 3, 2)
end

local function same(wanted, got)
  assert.same(wanted:shape(), got:shape())
  assert.same(wanted:totable(), got:float():totable())
end

-- A file with that header, and bytes behind it.
local function npy(header, bytes, version)
  version = version or "\1\0"
  return "\x93NUMPY" .. version .. string.pack(version == "\1\0" and "<s2" or "<s4", header) .. (bytes or "")
end

describe("gpt.read_npy", function()
  local file
  before_each(function() file = os.tmpname() end)
  after_each(function() os.remove(file) end)

  it("reads every type of numbers, in both orders of bytes and of dimensions", function()
    local count = 0
    for _, name in ipairs(files.list(FOLDER)) do
      local kind, size = name:match "^[lb]?([fiub])(%d)_[CF]%.npy$"
      if kind then
        local t = gpt.read_npy(FOLDER .. name)
        assert.equal(DTYPES[kind .. size] or "i64", t:dtype(), name)
        if kind == "b" then assert.same({ 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1 }, t:reshape(-1):totable()) else
          same(numbers(kind == "u" and 0 or -3):float(), t) end
        count = count + 1
      end
    end
    assert.equal(42, count)
  end)

  it("reads versions 1.0 to 3.0, numbers alone, vectors and empty arrays", function()
    for _, name in ipairs { "version2", "version3" } do same(numbers(0):float(), gpt.read_npy(FOLDER .. name .. ".npy")) end
    assert.same({ {}, 2.5 }, { gpt.read_npy(FOLDER .. "scalar.npy"):shape(), gpt.read_npy(FOLDER .. "scalar.npy"):item() })
    assert.same({ 0, 3 }, gpt.read_npy(FOLDER .. "empty.npy"):shape())
    assert.same({ 3, 1, 2 }, gpt.read_npy(FOLDER .. "vector.npy"):totable())
  end)

  it("maps what lies as a tensor has it", function()
    local before = gpt.memory()
    local t = gpt.read_npy(FOLDER .. "lf4_C.npy")
    assert.is_true(gpt.memory().mapped > before.mapped)
    t:fill(7)
    same(numbers(-3):float(), gpt.read_npy(FOLDER .. "lf4_C.npy"))
    files.write(file, npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}  ", string.pack("<ff", 1, 2))) -- odd
    assert.same({ 1.0, 2.0 }, gpt.read_npy(file):totable())
  end)

  it("reads headers as any writer of the format may have them", function()
    for _, header in ipairs {
      '{"shape":(2,),"fortran_order":False,"descr":"<i4"}', "{ 'descr' : '<i4' , 'shape' : ( 2L , ) , 'fortran_order' : True }\n",
      "{'descr': '=i4', 'fortran_order': False, 'shape': (2)}\n",
    } do
      files.write(file, npy(header, string.pack("<i4i4", 5, -6)))
      assert.same({ 5, -6 }, gpt.read_npy(file):totable())
    end
  end)

  it("refuses what is no array of numbers, and says what it is", function()
    local function refuse(message, name) assert.equal(FOLDER .. name .. ": " .. message, message_of(gpt.read_npy, FOLDER .. name)) end
    local only = "; f2, f4, f8, i1 to i8, u1 to u8 and b1 are"
    refuse('its numbers are "|O", which is not read (Python objects, which are never read: they could run code)' .. only, "objects.npy")
    refuse('its numbers are "<c16", which is not read (complex numbers)' .. only, "complex.npy")
    refuse('its numbers are "<U2", which is not read (text)' .. only, "text.npy")
    refuse("an array of records, which have fields of their own; save the fields one by one", "records.npy")
    refuse("a number past 2^63 - 1, which i64 does not hold", "large.npy")
    refuse("not a .npy file: it does not begin with \\x93NUMPY; it is a .npz, which gpt.read_npz reads", "stored.npz")
    assert.equal("gpt.read_npy: a file's name expected, got 3", message_of(gpt.read_npy, 3))
    assert.equal("none.npy: No such file or directory", message_of(gpt.read_npy, "none.npy"))
  end)

  it("refuses damaged files, and says where", function()
    local function refuse(message, bytes)
      files.write(file, bytes)
      assert.equal(file .. ": " .. message, message_of(gpt.read_npy, file))
    end
    local good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
    refuse("not a .npy file: it does not begin with \\x93NUMPY", "")
    refuse("not a .npy file: it does not begin with \\x93NUMPY", "NUMPY and more")
    refuse("cut short: it has 7 bytes", "\x93NUMPY\1")
    refuse("cut short: it has 9 bytes", "\x93NUMPY\1\0\7")
    refuse("version 4.0 of the format is unknown; 1.0, 2.0 and 3.0 are read", "\x93NUMPY\4\0\7\0")
    refuse("version 1.1 of the format is unknown; 1.0, 2.0 and 3.0 are read", "\x93NUMPY\1\1\7\0")
    refuse("its header would be 4294967295 bytes long, at most 1048576 are read", "\x93NUMPY\2\0\xff\xff\xff\xff")
    refuse("cut short: its header takes 200 bytes, 60 are there", "\x93NUMPY\1\0\200\0" .. good)
    refuse("cut short: [2, 3] of <f4 takes 24 bytes, 23 are there", npy(good, ("x"):rep(23)))
    refuse("1 bytes behind the array; a file with several arrays behind each other is not read", npy(good, ("x"):rep(25)))
    local function header(message, text) refuse("header: " .. message, npy(text)) end
    header("byte 1: a dictionary expected", "hello")
    header("byte 2: a key expected", "{3: 4}")
    header("byte 2: \"order\" is none of descr, fortran_order and shape", "{'order': 4}")
    header("byte 18: 'descr' comes twice", "{'descr': '<f4', 'descr': '<f4'}")
    header("byte 10: ':' expected", "{'descr' '<f4'}")
    header("byte 11: a type expected", "{'descr': 4}")
    header("byte 19: True or False expected", "{'fortran_order': 1}")
    header("byte 11: a tuple of sizes expected", "{'shape': 3}")
    header("byte 12: a size expected", "{'shape': (-1,)}")
    header("byte 14: ',' or ')' expected", "{'shape': (1 2)}")
    header("byte 31: a size of 19 digits", "{'shape': (1000000000000000000,)}")
    header("byte 17: ',' or '}' expected", "{'descr': '<f4' 'shape'")
    header("byte 4: nothing expected behind the dictionary", "{} }")
    header("'shape' is missing", "{'descr': '<f4', 'fortran_order': False}")
    local huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999, 999999999999999999)}"
    refuse("no file holds an array of shape [999999999999999999, 999999999999999999]", npy(huge))
    local none = "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 999999999999999999, 10)}"
    refuse("no file holds an array of shape [0, 999999999999999999, 10]", npy(none))
    refuse("an array of 9 dimensions; a tensor has at most 8", npy(good:gsub("2, 3", "1, 1, 1, 1, 1, 1, 1, 1, 1"), "xxxx"))
    refuse('"i4" does not say in which order its bytes are', npy(good:gsub("<f4", "i4"), ("x"):rep(24)))
    refuse('its numbers are "<f3", which is not read (floats of that size); f2, f4, f8, i1 to i8, u1 to u8 and b1 are', npy(good:gsub("<f4", "<f3")))
    refuse('its numbers are "q", which is not read; f2, f4, f8, i1 to i8, u1 to u8 and b1 are', npy(good:gsub("<f4", "q")))
  end)

  it("takes no damage from any byte that is wrong or missing", function()
    for _, name in ipairs { "lf4_F.npy", "stored.npz" } do
      local bytes, read = files.read(FOLDER .. name), name:find "npz" and gpt.read_npz or gpt.read_npy
      for at = 1, #bytes, name:find "npz" and 7 or 2 do
        files.write(file, bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 0x55) .. bytes:sub(at + 1))
        local done, problem = pcall(read, file)
        assert.is_true(done or problem:find(file, 1, true) ~= nil, problem)
        files.write(file, bytes:sub(1, at - 1))
        assert.is_false((pcall(read, file)))
      end
    end
  end)
end)

describe("gpt.write_npy", function()
  it("writes what numpy would, and gpt.read_npy reads", function()
    local file = os.tmpname()
    for name, dtype in pairs { lf4_C = "f32", lf2_C = "f16", li8_C = "i64" } do
      gpt.write_npy(file, numbers(-3):to(dtype))
      assert.equal(files.read(FOLDER .. name .. ".npy"), files.read(file))
    end
    gpt.write_npy(file, gpt.tensor { 3, 1, 2 })
    assert.equal(files.read(FOLDER .. "vector.npy"), files.read(file))
    gpt.write_npy(file, gpt.zeros(0, 3))
    assert.equal(files.read(FOLDER .. "empty.npy"), files.read(file))
    gpt.write_npy(file, gpt.full({}, 2.5))
    assert.equal(files.read(FOLDER .. "scalar.npy"), files.read(file))
    gpt.write_npy(file, numbers(0):transpose(1, 3))
    same(numbers(0):transpose(1, 3):float(), gpt.read_npy(file))
    os.remove(file)
  end)

  it("refuses what numpy does not have, and leaves what was there", function()
    local file = os.tmpname()
    files.write(file, "before")
    assert.equal('gpt.write_npy: numpy has no bf16; tensor:float() or tensor:to "f16" converts it',
      message_of(gpt.write_npy, file, gpt.zeros(2):to "bf16"))
    assert.equal("gpt.write_npy: a tensor expected, got a table", message_of(gpt.write_npy, file, { 1 }))
    assert.equal("gpt.write_npy: a file's name expected, got nil", message_of(gpt.write_npy))
    assert.equal("before", files.read(file))
    os.remove(file)
  end)
end)

describe("gpt.read_npz", function()
  it("reads what numpy.savez stores", function()
    local arrays = gpt.read_npz(FOLDER .. "stored.npz")
    same(numbers(0):float(), arrays.ids)
    assert.equal("f32", arrays.weights:dtype())
    assert.equal("{\n  ids = tensor [2, 3, 2] i64,\n  weights = tensor [2, 3, 2] f32,\n}", tostring(arrays))
  end)

  it("refuses what is compressed, damaged or none", function()
    local file = os.tmpname()
    local bytes = files.read(FOLDER .. "stored.npz")
    local function refuse(message, changed)
      files.write(file, changed)
      assert.equal(file .. ": " .. message, message_of(gpt.read_npz, file))
    end
    assert.equal(FOLDER .. 'compressed.npz: "ids.npy" is compressed, which is not read; numpy.savez stores arrays as they are',
      message_of(gpt.read_npz, FOLDER .. "compressed.npz"))
    refuse("not a .npz file: it has no ZIP directory at its end", "hello")
    refuse("not a .npz file: it has no ZIP directory at its end", bytes:sub(1, -2))
    local function patched(from_end, form, value)
      local at = #bytes - 22 + from_end
      local new = string.pack(form, value)
      return bytes:sub(1, at) .. new .. bytes:sub(at + #new + 1)
    end
    refuse("one of several parts of a ZIP archive", patched(4, "<I2", 1))
    refuse("an archive past 4 GiB, which is not read; save arrays one by one with numpy.save", patched(16, "<I4", 0xFFFFFFFF))
    refuse("its ZIP directory is not where it says", patched(16, "<I4", 0))
    refuse("its ZIP directory is cut short", patched(8, "<I4", 0x30003))
    local entry = bytes:find("PK\1\2", 1, true)
    local function entry_patched(offset, form, value)
      local new = string.pack(form, value)
      return bytes:sub(1, entry + offset - 1) .. new .. bytes:sub(entry + offset + #new)
    end
    refuse('"ids.npy" is encrypted', entry_patched(8, "<I2", 1))
    refuse('"ids.npy": past 4 GiB, which is not read; save it with numpy.save', entry_patched(20, "<I8", 0xFFFFFFFFFFFFFFFF))
    refuse('"ids.npy": no member begins at byte 7', entry_patched(42, "<I4", 7))
    refuse('"ids.npy": cut short', entry_patched(20, "<I8", 0x0FFFFFFF0FFFFFFF))
    local member = "PK\3\4" .. ("\0"):rep(22) .. string.pack("<I2I2", 5, 0) .. "a.npy"
    local function listed(name, size, at)
      return "PK\1\2" .. ("\0"):rep(16) .. string.pack("<I4I4I2", size, size, #name) .. ("\0"):rep(12)
        .. string.pack("<I4", at) .. name
    end
    local function archive(members, first, second)
      return members .. first .. second
        .. "PK\5\6" .. string.pack("<I2I2I2I2I4I4I2", 0, 0, 2, 2, #first + #second, #members, 0)
    end
    refuse('"a.npy" comes twice', archive(member, listed("a.npy", 0, 0), listed("a.npy", 0, 0)))
    refuse('"a.npy", from byte 0 to 35, and "b.npy", from byte 35 on, overlap',
      archive(member:rep(2), listed("b.npy", 0, 35), listed("a.npy", 1, 0)))
    refuse('"b.npy": not a .npy file: it does not begin with \\x93NUMPY', archive(member:rep(2), listed("b.npy", 0, 35), listed("a.npy", 0, 0)))
    assert.equal("gpt.read_npz: a file's name expected, got nil", message_of(gpt.read_npz))
    os.remove(file)
  end)
end)
