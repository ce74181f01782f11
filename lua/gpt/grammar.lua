--- Grammars: what may be generated.
-- @submodule gpt
local core = require "gpt.core"
local Cache = require "gpt.grammar.cache"
local build = require "gpt.grammar.build"
local nodes = require "gpt.grammar.nodes"
local validate = require "gpt.support.validate"
local raise = require "gpt.support.raise"

local readers = { gbnf = "gpt.grammar.gbnf", json_schema = "gpt.grammar.json_schema", regex = "gpt.grammar.regex" }
local KINDS = { "gbnf", "json_schema", "regex", "whitespace" }

local grammar = {}

local cache = Cache.new()

-- The kind of a table, and what it is made of.
local function kind_of(what, given)
  core._check_options(given, what, KINDS)
  local kind
  for name in pairs(readers) do
    if given[name] ~= nil then
      if kind then raise("%s: one of gbnf, json_schema and regex expected, got %s and %s", what, kind, name) end
      kind = name
    end
  end
  if not kind then raise("%s: a table with gbnf, json_schema or regex expected", what) end
  if given.whitespace ~= nil and kind ~= "json_schema" then raise("%s: whitespace is for json_schema alone", what) end
  return kind, given[kind]
end

-- Errors of the core's speak of rules; `what` begins the message. share: of the bounds on what it takes, up to 1
local function compile(what, kind, source, options, share)
  if kind ~= "json_schema" and type(source) ~= "string" then
    raise("%s: %s: a string expected, got %s", what, kind, validate.show(source))
  end
  local name = kind == "gbnf" and what or ("%s: %s"):format(what, kind)
  local front_end = require(readers[kind]) -- before: it has nodes of its own
  nodes.begin(name, share)
  return build(name, front_end(name, source, options, share), share)
end

local function compile_cached(what, kind, source, options, share)
  if type(source) ~= "string" then return compile(what, kind, source, options, share) end
  local key = table.concat({ kind, options.whitespace or "", source }, "\0")
  return cache:get(key, function() return compile(what, kind, source, options, share) end)
end

-- The grammar of what is given, itself or made by a function.
local function read(what, given, make, share)
  if core._is_grammar(given) then return given end
  if type(given) == "string" then return make(what, "gbnf", given, {}, share) end
  if type(given) ~= "table" then
    raise("%s: a text in GBNF, { json_schema = ... }, { regex = ... } or a grammar of gpt.grammar expected, got %s",
      what, validate.show(given))
  end
  local kind, source = kind_of(what, given)
  return make(what, kind, source, given, share)
end

-- The grammar of an option: a text, table or grammar. what: begins the messages. share: of the bounds on what making it
-- may take (parts, states, edges, steps), for what a stranger sends: all of it, 1, takes up to half a second and some
-- 100 MB, 1/16 up to 0.1 s and some MB. A grammar that is kept takes nothing.
function grammar.read(what, given, share) return read(what, given, compile_cached, share or 1) end

--- Makes a grammar, to which `generate`, `stream` and sessions hold with their option `grammar`. They take texts and
-- tables as well, and keep the grammars of the latest texts: 50 at most, and 128 MiB along with what was found out
-- under them.
-- @function grammar
-- @param source a text in llama.cpp's GBNF; or a table of one of these: `gbnf`: such a text; `regex`: a regular
-- expression, which matches as a whole; `json_schema`: a schema as a table or as JSON text, whose properties come in
-- the order of the text (of a table: the required ones in the order of `required`, then the others by name). Beside
-- json_schema, `whitespace`: "fixed" (`{"a": 1, "b": 2}`, the default), "none" (`{"a":1}`), or "free" (line ends and
-- indentation as the model likes, within bounds)
-- @treturn Grammar
-- @raise what is not understood, with its line and column or its path in the schema; and what cannot be met
-- @usage local yes_or_no = gpt.grammar 'root ::= "yes" | "no"'
-- print(yes_or_no:matches "yes")  --> true  3
function grammar.grammar(source)
  return read("gpt.grammar", source, compile, 1)
end

return grammar
