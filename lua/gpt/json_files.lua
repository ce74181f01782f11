--- JSON as Lua values: gpt.read_json and gpt.decode_json.
-- @submodule gpt
local core = require "gpt.core"
local json = require "gpt.support.json"
local validate = require "gpt.support.validate"

local json_files = {}

local shown = { __tostring = core._printed.__tostring }

-- Tables print; empty arrays keep the mark that tells them from empty objects.
local function with_print(value)
  if type(value) == "table" and getmetatable(value) == nil then return setmetatable(value, shown) end
  return value
end

--- What JSON's null is in the values that `gpt.read_json` and `gpt.decode_json` return: nil would leave holes in
-- arrays. Compare with it: `if value == gpt.null then ... end`. It is true as a condition.
-- @field null
json_files.null = json.null

--- The value of a JSON file: objects and arrays become tables (arrays count from 1), whole numbers up to 2^53 integers,
-- other numbers floats, and null `gpt.null`.
-- @function read_json
-- @string file
-- @return the value; tables print
-- @raise if it is not valid JSON: names the file, line and column; if a key comes twice in an object
-- @usage model:save "my-gpt2"
-- print(gpt.read_json("my-gpt2/config.json").model_type)
function json_files.read_json(file)
  validate.file_name("gpt.read_json", file)
  local opened <close> = core._map_file(file) -- read, not mapped
  return with_print(json.decode(opened:bytes(0, opened.size), file))
end

--- The value of a text of JSON, as `gpt.read_json` returns that of a file.
-- @function decode_json
-- @string text
-- @return the value; tables print
-- @raise if it is not valid JSON: says line and column
-- @usage print(gpt.decode_json '{"endings": ["mat", "log"], "label": 0}')
function json_files.decode_json(text)
  if type(text) ~= "string" then
    core._raise(("gpt.decode_json: a text expected, got %s"):format(validate.show(text)))
  end
  return with_print(json.decode(text, "gpt.decode_json"))
end

return json_files
