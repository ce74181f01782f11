-- How a request wants its tokens drawn: OpenAI's names, and top_k, min_p and repetition_penalty beside them.
local attempt = require "gpt.support.attempt"
local Problem = require "gpt.server.problem"
local checks = require "gpt.generate.options"
local fields = require "gpt.server.fields"
local grammar = require "gpt.grammar"
local json = require "gpt.support.json"
local text = require "gpt.server.text"

local sampling = {}

local MOST_STOPS = 16
local MOST_SCHEMA = 65536 -- bytes
local SHARE = 1 / 16 -- of what a grammar may take: the server does nothing else meanwhile
local MOST_PENALTY = 100
local LEAST_TOP_P = 1e-6 -- for 0, which means the most likely token alone

local function is_empty(value)
  return type(value) == "table" and next(value) == nil
end

local function is(wanted)
  return function(value) return value == wanted end
end

-- Fields that would change what comes back, and whose value does not ask for it.
local NOT_DONE = {
  { "n", is(1), "one choice for each prompt is all there is; send the request several times" },
  { "best_of", is(1), "one choice for each prompt is all there is" },
  { "logit_bias", is_empty, "logits cannot be changed one by one" },
  { "tools", is_empty, "this server calls no tools" },
  { "tool_choice", function(value) return value == "none" or value == "auto" end, "this server calls no tools" },
  { "functions", is_empty, "this server calls no functions" },
  { "modalities", function(value) return json.is_array(value) and #value == 1 and value[1] == "text" end,
    "text is all that comes back" },
  { "echo", is(false), "the prompt is not repeated" },
  { "suffix", is "", "text cannot be inserted, only continued" },
  { "presence_penalty", is(0), "repetition_penalty is the one there is" },
  { "frequency_penalty", is(0), "repetition_penalty is the one there is" },
}

--- Raises 400 for what is not done, by the field's name.
function sampling.check(body)
  for _, each in ipairs(NOT_DONE) do fields.none(body, table.unpack(each)) end
end

local function top_k(body)
  local value = fields.whole(body, "top_k", -1)
  return value and value > 0 and value or nil
end

local function top_p(body)
  local value = fields.number(body, "top_p", 0, 1)
  return value and math.max(value, LEAST_TOP_P)
end

-- The schema that response_format asks for, as text in its own order; nil for plain text.
local function schema_text(format)
  if format.type == "text" then return nil end
  if format.type == "json_object" then return '{"type": "object"}' end
  local named = format.type == "json_schema" and fields.object(format, "json_schema")
  local schema = named and named.schema
  if not json.is_object(schema) then
    Problem.field("response_format",
      "response_format: type: text, json_object or json_schema (with json_schema.schema, an object) expected")
  end
  return json.encode(schema)
end

--- The schema of response_format, as text; nil for plain text.
function sampling.schema(body)
  local schema = schema_text(fields.object(body, "response_format") or { type = "text" })
  if schema and #schema > MOST_SCHEMA then
    Problem.field("response_format", "response_format: a schema may have %d bytes", MOST_SCHEMA)
  end
  return schema
end

--- The grammar of a schema. That may take 0.1 s, and some megabytes.
function sampling.grammar(schema)
  local ok, made = attempt(grammar.read, "response_format", { json_schema = schema }, SHARE)
  if not ok then Problem.field("response_format", "%s", text.message(made)) end
  return made
end

--- The settings of a row, as the generating loop takes them; but for its limit and its grammar, which come later.
function sampling.read(body)
  return checks.read("server", {
    temperature = fields.number(body, "temperature", 0, 2) or 1,
    top_p = top_p(body),
    top_k = top_k(body),
    min_p = fields.number(body, "min_p", 0, 1),
    repetition_penalty = fields.positive(body, "repetition_penalty", MOST_PENALTY),
    seed = fields.whole(body, "seed", math.mininteger),
    stop = fields.strings(body, "stop", MOST_STOPS),
  })
end

--- How many new tokens a request wants at most; nil where it does not say.
function sampling.length(body)
  return fields.whole(body, "max_completion_tokens", 1) or fields.whole(body, "max_tokens", 1)
end

return sampling
