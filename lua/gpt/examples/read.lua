-- Where examples come from: a list, or a file of JSON lines or of comma-separated values.
local core = require "gpt.core"
local json_lines = require "gpt.support.json_lines"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local function read_text(path)
  local file <close> = core._map_file(path)
  return file:bytes(0, file.size)
end

local function read_json_lines(path)
  local examples, places = {}, {}
  for place, example in json_lines("gpt.examples", path) do
    examples[#examples + 1], places[#examples + 1] = example, place
  end
  return examples, places
end

-- The field that begins at `at`, and where the next one, or the next record, begins; whether the record ends there.
local function csv_field(text, at, refuse)
  local value, stop
  if text:sub(at, at) == '"' then
    local parts, from = {}, at + 1
    while true do
      local quote = text:find('"', from, true)
      if not quote then refuse "a quoted field that does not end" end
      parts[#parts + 1] = text:sub(from, quote - 1)
      if text:sub(quote + 1, quote + 1) ~= '"' then
        stop = quote + 1
        break
      end
      parts[#parts + 1], from = '"', quote + 2
    end
    value = table.concat(parts)
  else
    stop = text:find("[,\r\n]", at) or #text + 1
    value = text:sub(at, stop - 1)
  end
  local ending = text:match("^\r?\n", stop) or text:match("^\r$", stop)
  if ending then return value, stop + #ending, true end
  if stop > #text then return value, stop, true end
  if text:sub(stop, stop) ~= "," then refuse "something behind a closing quote" end
  return value, stop + 1, false
end

local function csv_record(text, at, refuse)
  local fields = {}
  while true do
    local value, next_at, last = csv_field(text, at, refuse)
    fields[#fields + 1], at = value, next_at
    if last then return fields, at end
  end
end

local function lines_between(text, first, last)
  return select(2, text:sub(first, last):gsub("\n", ""))
end

-- The first record names the columns (RFC 4180).
local function read_csv(path)
  local text = read_text(path):gsub("^\xEF\xBB\xBF", "")
  local examples, places, names, at, line = {}, {}, nil, 1, 1
  while at <= #text do
    local place = ("%s: line %d"):format(path, line)
    local function refuse(what) raise("gpt.examples: %s: %s", place, what) end
    local fields, next_at = csv_record(text, at, refuse)
    if not names then
      names = fields
    elseif #fields > 1 or fields[1] ~= "" then
      if #fields ~= #names then refuse(("%d fields, and the first line names %d"):format(#fields, #names)) end
      local example = {}
      for i, name in ipairs(names) do example[name] = fields[i] end
      examples[#examples + 1], places[#examples + 1] = example, place
    end
    line, at = line + lines_between(text, at, next_at - 1), next_at
  end
  return examples, places
end

local READERS = { jsonl = read_json_lines, json = read_json_lines, ndjson = read_json_lines, csv = read_csv }

-- @param source a list of examples, or the name of a file
-- @treturn {table,...} the examples
-- @treturn {string,...} where each stands, for messages
return function(source)
  if type(source) == "string" then
    local reader = READERS[(source:match "%.(%w+)$" or ""):lower()]
    if not reader then
      raise("gpt.examples: %s: a file whose name ends in .jsonl or .csv expected", validate.show(source))
    end
    return reader(source)
  end
  if type(source) ~= "table" then
    raise("gpt.examples: a list of examples, or the name of a .jsonl or .csv file, expected, got %s",
      validate.show(source))
  end
  local places = {}
  for i = 1, #source do
    places[i] = "example " .. i
    if type(source[i]) ~= "table" then
      raise("gpt.examples: %s: a table expected, got %s", places[i], validate.show(source[i]))
    end
  end
  return source, places
end
