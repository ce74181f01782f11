-- Which template a chat is written with: a function of the user's, a Jinja template of the user's, or one of those in
-- the model's files, which may have several by name.
--
-- A template is { fn = function } or { tree = ..., names = set of the names it mentions }.
local field = require "gpt.support.field"
local jinja = require "gpt.jinja"
local known_fields = require "gpt.support.known_fields"
local name_list = require "gpt.support.name_list"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"

local compiled = setmetatable({}, { __mode = "v" }) -- by source

local function compile(what, source)
  local template = compiled[source]
  if template then return template end
  local tree, problem = jinja.compile(source)
  if not tree then raise("%s: the chat template: %s", what, problem) end
  template = { tree = tree, names = jinja.names(tree) }
  compiled[source] = template
  return template
end

-- Those of the files, by name. A model may have another default than its tokenizer.
local function of_files(tokenizer, model)
  local named = {}
  for name, source in pairs(field(tokenizer, "chat_templates") or {}) do named[name] = source end
  named.default = model and field(model, "chat_template") or field(tokenizer, "chat_template") or named.default
  return named
end

local function missing(what, named)
  local names = known_fields.names(named)
  if #names == 0 then
    raise("%s: the tokenizer has no chat template; give one: template = a Jinja template, or a function(messages, "
      .. "options) that returns the text", what)
  end
  raise("%s: the tokenizer has no chat template of the name default; template = NAME takes one of %s", what,
    name_list.line(names))
end

-- A string without a brace is a name.
local function of_string(what, given, named)
  if named[given] then return compile(what, named[given]) end
  if given:find "{" then return compile(what, given) end
  local names = known_fields.names(named)
  local there = #names > 0 and "; there is " .. name_list.line(names) or ", for it has none"
  raise("%s: template: the tokenizer has no chat template %s%s", what, validate.show(given), there)
end

--- @param given the option `template`: nil, a function, a template's name, or a Jinja template
--- @param tools whether the chat has tools, for which files may have a template of its own
return function(what, given, tokenizer, model, tools)
  if type(given) == "function" then return { fn = given } end
  local named = of_files(tokenizer, model)
  if type(given) == "string" then return of_string(what, given, named) end
  if given ~= nil then
    raise("%s: template: a function, a Jinja template, or the name of one of the tokenizer's expected, got %s", what,
      validate.show(given))
  end
  local source = tools and named.tool_use or named.default
  return source and compile(what, source) or missing(what, named)
end
