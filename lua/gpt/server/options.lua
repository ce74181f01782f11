-- The options of a server: what it binds to, and its limits.
local names = require "gpt.server.names"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local options = {}

local function text(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil, "a string that is not empty"
end

-- Strings that the rule takes, one or a list of them; read as a list. What is wrong with one comes with its index.
local function one_or_more(rule)
  return function(value)
    local list, read = type(value) == "string" and { value } or value, {}
    if type(list) ~= "table" or #list == 0 then return nil, "a string or a list of strings" end
    for i, each in ipairs(list) do
      local expected = "a string or a list of strings, none of them empty,"
      if text(each) then read[i], expected = rule(each) end
      if not read[i] then return nil, expected, nil, list == value and i or nil end
    end
    return read
  end
end

local function template(value)
  if type(value) == "function" then return value end
  return text(value), "a template's text or name, or a function from messages to text,"
end

local function port(value)
  local number = math.tointeger(value)
  if number and number >= 0 and number <= 65535 then return number end
  return nil, "a port from 0 (the system chooses) to 65535"
end

local FIELDS = {
  { "host", text, "127.0.0.1" },
  { "port", port, 8080 },
  { "reuse_port", validate.boolean, false },
  { "name", text },
  { "tokenizer", function(value) return value end },
  { "template", template },
  { "sessions", validate.whole(1), 8 },
  { "queue", validate.whole(0), 64 },
  { "slice", validate.whole(1), 64 },
  { "max_tokens", validate.whole(1), 4096 },
  { "prompt_tokens", validate.whole(1) },
  { "kept_tokens", validate.whole(0), 8192 },
  { "cache_dtype", validate.one_of { "f32", "f16" }, "f32" },
  { "seconds", validate.positive(), 600 },
  { "body_bytes", validate.whole(1), 1 << 20 },
  { "connections", validate.whole(1), 128 },
  { "request_seconds", validate.positive(), 30 },
  { "idle_seconds", validate.positive(), 75 },
  { "write_seconds", validate.positive(), 30 },
  { "finish_seconds", validate.positive(), 600 },
  { "api_key", one_or_more(names.key) },
  { "origins", one_or_more(names.origin) },
  { "host_names", one_or_more(names.host) },
  { "log", validate.a_function() },
}
for _, field in ipairs(FIELDS) do field.optional = true end

--- Checks what the caller gave and fills in the rest.
function options.read(what, given)
  if given == nil then given = {} end
  if type(given) ~= "table" then raise("%s: options: a table expected, got %s", what, validate.show(given)) end
  local values, problems = validate.read(given, FIELDS)
  validate.raise(what, problems)
  for _, field in ipairs(FIELDS) do
    if values[field[1]] == nil then values[field[1]] = field[3] end
  end
  return values
end

return options
