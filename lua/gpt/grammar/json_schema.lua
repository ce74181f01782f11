-- JSON Schema: a table or its JSON text, to rules for build.
local compile = require "gpt.grammar.schema.compiler"
local json = require "gpt.support.json"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

return function(what, source, options, share)
  local schema = source
  if type(source) == "string" then schema = json.decode_ordered(source, what) end
  if type(schema) ~= "table" and type(schema) ~= "boolean" then
    raise("%s: a schema as a table or as JSON text expected, got %s", what, validate.show(source))
  end
  return compile(what, schema, options.whitespace, share)
end
