-- Where the questions come from: a list, or a file of JSON lines; checked, each as { context, endings, label, place }.
local forms = require "gpt.multiple_choice.forms"
local json = require "gpt.support.json"
local json_lines = require "gpt.support.json_lines"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local WHO = "gpt.multiple_choice"

local function refuse(place, name, expected, got)
  got = got == json.null and "null" or validate.show(got)
  raise("%s: %s: %s: %s expected, got %s", WHO, place, name, expected, got)
end

local function check_endings(place, name, endings)
  if type(endings) ~= "table" or #endings < 2 then
    refuse(place, name, "a list of two strings or more", type(endings) == "table" and #endings or endings)
  end
  for i = 1, #endings do -- a hole is an error, too
    if type(endings[i]) ~= "string" then refuse(place, ("%s[%d]"):format(name, i), "a string", endings[i]) end
  end
end

-- Labels count from 0; HellaSwag's files have them as numbers or as digits.
local function check_label(place, name, label, count)
  local number = type(label) == "string" and label:find "^%d+$" and tonumber(label) or label
  number = type(number) == "number" and math.tointeger(number)
  if number and number >= 0 and number < count then return number end
  return refuse(place, name, ("a whole number from 0 to %d"):format(count - 1), label)
end

local function checked(example, place, format)
  local read, called = format(example)
  if type(read) ~= "table" then
    if type(called) == "table" then refuse(place, table.unpack(called, 1, 3)) end
    refuse(place, "format", "a table { context, endings, label } from the function", read)
  end
  if format ~= forms.plain and format ~= forms.hellaswag then read, called = forms.plain(read) end
  if type(read.context) ~= "string" then refuse(place, called.context, "a string", read.context) end
  check_endings(place, called.endings, read.endings)
  local label = check_label(place, called.label, read.label, #read.endings)
  return { context = read.context, endings = read.endings, label = label, place = place }
end

local function each_of_list(list)
  local i = 0
  return function()
    i = i + 1
    local example = rawget(list, i)
    if example == nil then return nil end
    if type(example) ~= "table" then
      raise("%s: example %d: a table expected, got %s", WHO, i, validate.show(example))
    end
    return "example " .. i, example
  end
end

local EXTENSIONS = { jsonl = true, json = true, ndjson = true }

local function each_of(source)
  if type(source) == "table" then return each_of_list(source) end
  if type(source) ~= "string" then
    raise("%s: a list of examples, or the name of a .jsonl file, expected, got %s", WHO, validate.show(source))
  end
  if not EXTENSIONS[(source:match "%.(%w+)$" or ""):lower()] then
    raise("%s: %s: a file whose name ends in .jsonl expected", WHO, validate.show(source))
  end
  return json_lines(WHO, source)
end

--- @param source
--- @func format from an example to { context, endings, label }
--- @treturn function for `for ... in`: the questions one by one
return function(source, format)
  local next_example, state, control, closing = each_of(source)
  return function()
    local place, example = next_example()
    return place and checked(example, place, format)
  end, state, control, closing
end
