-- The header of a .npy file: a Python dictionary, as text. https://numpy.org/doc/stable/reference/generated/
-- numpy.lib.format.html has the format.
local core = require "gpt.core"
local validate = require "gpt.support.validate"

local header = {}

local MOST_BYTES = 1048576 -- numpy itself wants to be asked before it reads more than 10,000

local Reader = {}
Reader.__index = Reader

function Reader:refuse(what, ...)
  core._raise(("%s: header: byte %d: "):format(self.path, self.at) .. what:format(...))
end

function Reader:skip() self.at = self.text:match("^[ \t\r\n]*()", self.at) end

-- Takes what the pattern matches, behind white space; nil where it does not.
function Reader:take(pattern)
  self:skip()
  local found, after = self.text:match("^(" .. pattern .. ")()", self.at)
  if found then self.at = after end
  return found
end

function Reader:demand(pattern, what)
  return self:take(pattern) or self:refuse("%s expected", what)
end

-- A string in quotes of either kind; none that the format needs has an escape in it.
function Reader:string(what)
  local text = self:take "'[^'\\\n]*'" or self:demand('"[^"\\\n]*"', what)
  return text:sub(2, -2)
end

function Reader:boolean()
  return self:demand("%u%l+", "True or False") == "True"
end

-- A size; Python 2 wrote an L behind some.
function Reader:size()
  local digits = self:demand("%d+", "a size")
  self:take "L"
  if #digits > 18 then self:refuse("a size of %d digits", #digits) end
  return math.tointeger(tonumber(digits))
end

function Reader:tuple()
  local sizes = {}
  self:demand("%(", "a tuple of sizes")
  while not self:take "%)" do
    if #sizes > 0 then
      self:demand(",", "',' or ')'")
      if self:take "%)" then break end
    end
    sizes[#sizes + 1] = self:size()
  end
  return sizes
end

function Reader:descr()
  if self:take "%[" then
    core._raise(self.path .. ": an array of records, which have fields of their own; save the fields one by one")
  end
  return self:string "a type"
end

local READERS = { descr = Reader.descr, fortran_order = Reader.boolean, shape = Reader.tuple }

local function read_fields(reader)
  local fields = {}
  reader:demand("{", "a dictionary")
  while not reader:take "}" do
    reader:skip()
    local first, key = reader.at, reader:string "a key"
    if not READERS[key] or fields[key] ~= nil then reader.at = first end
    if not READERS[key] then reader:refuse("%s is none of descr, fortran_order and shape", validate.show(key)) end
    if fields[key] ~= nil then reader:refuse("'%s' comes twice", key) end
    reader:demand(":", "':'")
    fields[key] = READERS[key](reader)
    if not reader:take "," then
      reader:demand("}", "',' or '}'")
      break
    end
  end
  return fields
end

local function parse(path, text)
  local reader = setmetatable({ path = path, text = text, at = 1 }, Reader)
  local fields = read_fields(reader)
  reader:skip()
  if reader.at <= #text then reader:refuse "nothing expected behind the dictionary" end
  for _, key in ipairs { "descr", "fortran_order", "shape" } do
    if fields[key] == nil then core._raise(("%s: header: '%s' is missing"):format(path, key)) end
  end
  return fields
end

local LENGTHS = { [1] = "<I2", [2] = "<I4", [3] = "<I4" } -- by major version; version 3 has names of fields in UTF-8

local function refuse(path, format, ...) core._raise(path .. ": " .. format:format(...)) end

--- Reads the header of an array.
-- @string path for messages
-- @param file an opened one
-- @int at where the array begins
-- @int size where it has to end
-- @treturn table `descr`, `fortran_order`, `shape`
-- @treturn integer where its numbers begin
function header.read(path, file, at, size)
  local magic = file:bytes(at, math.min(8, size - at))
  if magic:sub(1, 6) ~= "\x93NUMPY" then
    local zip = magic:sub(1, 2) == "PK" and "; it is a .npz, which gpt.read_npz reads" or ""
    refuse(path, "not a .npy file: it does not begin with \\x93NUMPY%s", zip)
  end
  if #magic < 8 then refuse(path, "cut short: it has %d bytes", size - at) end
  local major, minor = magic:byte(7, 8)
  local form = minor == 0 and LENGTHS[major]
  if not form then refuse(path, "version %d.%d of the format is unknown; 1.0, 2.0 and 3.0 are read", major, minor) end
  local width = string.packsize(form)
  if size - at < 8 + width then refuse(path, "cut short: it has %d bytes", size - at) end
  local length = string.unpack(form, file:bytes(at + 8, width))
  if length > MOST_BYTES then
    refuse(path, "its header would be %d bytes long, at most %d are read", length, MOST_BYTES)
  end
  local start = at + 8 + width + length
  if start > size then
    refuse(path, "cut short: its header takes %d bytes, %d are there", length, size - at - 8 - width)
  end
  return parse(path, file:bytes(at + 8 + width, length)), start
end

--- The bytes before an array's numbers, a multiple of 64.
function header.make(descr, shape)
  local sizes = table.concat(shape, ", ") .. (#shape == 1 and "," or "")
  local text = ("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"):format(descr, sizes)
  text = text .. (" "):rep(-(10 + #text + 1) % 64) .. "\n"
  return "\x93NUMPY\1\0" .. string.pack("<s2", text)
end

return header
