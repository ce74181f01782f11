-- A conversation's messages as a JSON file.
local core = require "gpt.core"
local json = require "gpt.support.json"
local messages = require "gpt.chat_template.messages"
local valid_utf8 = require "gpt.support.valid_utf8"

local file = {}

-- A text as JSON takes it: what is no UTF-8, and zeros, become U+FFFD.
local function clean(text)
  return (valid_utf8(text):gsub("\0", "\u{FFFD}"))
end

local function cleaned(value)
  if type(value) == "string" then return clean(value) end
  if type(value) ~= "table" then return value end
  local copy = setmetatable({}, getmetatable(value))
  for key, part in next, value do rawset(copy, key, cleaned(part)) end
  return copy
end

function file.write(path, list)
  local text = json.encode(json.array(cleaned(list)), 2)
  local out <close> = core._file_writer(path)
  out:write(text .. "\n"):commit()
end

function file.read(what, path)
  local list = json.read(path)
  messages.check(what .. ": " .. path, list)
  return list
end

return file
