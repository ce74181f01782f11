-- Files of JSON lines: an object on each, read a slice at a time.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local json = require "gpt.support.json"
local raise = require "gpt.support.raise"

local SLICE, MOST_LINE = 1048576, 10000000

-- The lines of an open file, without their ends; one too long is cut, so that memory is bounded. What was read of the
-- file is copied once a slice, not once a line.
local function lines_of(file)
  local at, read, first = 0, "", 1 -- the next line begins at byte `first` of what was read
  return function()
    local stop = read:find("\n", first, true)
    while not stop and at < file.size and #read - first < MOST_LINE do
      local piece = file:bytes(at, math.min(SLICE, file.size - at))
      at, read, first = at + #piece, read:sub(first) .. piece, 1
      stop = read:find("\n", 1, true)
    end
    if not stop and first > #read then return nil end
    local line = read:sub(first, (stop or #read + 1) - 1)
    first = (stop or #read) + 1
    return line
  end
end

-- Errors of JSON count the lines of their text, which is one here.
local function decode(line, place)
  local ok, result = attempt(json.decode, line, place)
  if ok then return result end
  error(type(result) == "string" and result:gsub(" near line 1, column (%d+)", " near column %1", 1) or result, 0)
end

--- The objects of a file, for `for place, object in ...`; place is "FILE: line 3", for messages. Empty lines are none.
-- @string what begins messages
-- @string path
return function(what, path)
  local file = core._map_file(path) -- read, not mapped
  local next_line, number = lines_of(file), 0
  local function next_object()
    local line
    repeat
      line, number = next_line(), number + 1
    until not line or line:find "%S"
    if not line then return nil end
    local place = ("%s: line %d"):format(path, number)
    if #line > MOST_LINE then raise("%s: %s: %d bytes are too long for one example", what, place, #line) end
    local object = decode(line, place)
    if not json.is_object(object) then raise("%s: %s: an object expected", what, place) end
    return place, object
  end
  return next_object, nil, nil, file
end
