-- From a request's body to rows that grow.
local Answer = require "gpt.server.answer"
local Constraint = require "gpt.generate.constraint"
local Problem = require "gpt.server.problem"
local Row = require "gpt.generate.row"
local fields = require "gpt.server.fields"
local kinds = require "gpt.server.kinds"
local logprobs = require "gpt.server.logprobs"
local prompts = require "gpt.server.prompts"
local sampling = require "gpt.server.sampling"

local MOST_TOP_LOGPROBS = 20
local MOST_MEASURED = 131072 -- log probabilities of one request, which wait in memory until its answer is whole
local USUAL_LENGTH = 16 -- of a completion, as in OpenAI's interface; a chat's is the server's limit

-- A row for each prompt. key: the request's.
local function make_rows(lists, settings, key)
  local rows = {}
  for i, ids in ipairs(lists) do
    rows[i] = Row.new("server", settings, { ids = ids, form = "text" }, i)
    rows[i].prompt_length, rows[i].key = #ids, key
  end
  return rows
end

-- What makes the grammar of a schema, and holds rows to it.
local function preparing(schema, rows, tokenizer)
  return schema and function()
    local grammar = sampling.grammar(schema)
    for _, row in ipairs(rows) do row.constraint = Constraint.new("server", grammar, tokenizer, row.stop_ids) end
    return grammar
  end
end

-- How many log probabilities beside each token's own are wanted; nil: none at all.
local function top_logprobs(kind, body)
  if kind == "completion" then return fields.whole(body, "logprobs", 0, MOST_TOP_LOGPROBS) end
  local wanted, most = fields.flag(body, "logprobs"), fields.whole(body, "top_logprobs", 0, MOST_TOP_LOGPROBS)
  if most and not wanted then Problem.field("top_logprobs", "top_logprobs: logprobs has to be true") end
  return wanted and (most or 0) or nil
end

-- The context's last place is for a token that is drawn and not run. wanted: by the request, or nil
local function length_limit(server, kind, wanted, lists)
  local limit = wanted or kind == "completion" and USUAL_LENGTH or server.options.max_tokens
  for _, ids in ipairs(lists) do limit = math.min(limit, server.subject.context_length - #ids + 1) end
  return math.min(limit, server.options.max_tokens)
end

local function check_measured(kind, lists, length, top)
  local count = #lists * length * (top + 1)
  if count <= MOST_MEASURED then return end
  local field = kind == "chat" and top > 0 and "top_logprobs" or "logprobs"
  Problem.field(field, "%s: %d log probabilities are asked for (prompts: %d; tokens of each: %d; others beside each "
    .. "token: %d), and a request may have %d; a smaller max_tokens takes fewer", field, count, #lists, length, top,
    MOST_MEASURED)
end

-- What the fields say: the settings of rows, and beside them the request's `length`, `top` log probabilities, `schema`,
-- `stream` and `include_usage`. None of it takes time.
local function read_fields(server, kind, body)
  sampling.check(body)
  fields.string(body, "model")
  fields.string(body, "user")
  local settings = sampling.read(body)
  settings.given.seed = settings.given.seed or server.number()
  return settings, {
    length = sampling.length(body), top = top_logprobs(kind, body), schema = sampling.schema(body),
    stream = fields.flag(body, "stream"),
    include_usage = fields.flag(fields.object(body, "stream_options") or {}, "include_usage"),
  }
end

-- Settings for rows of these prompts.
local function complete_settings(server, kind, settings, wanted, lists)
  settings.max_new_tokens = length_limit(server, kind, wanted.length, lists)
  settings.tokenizer = server.subject.tokenizer
  local turn_end = kind == "chat" and server.subject.turn_end
  if turn_end then settings.stop.ids[turn_end] = true end
  if wanted.top then
    check_measured(kind, lists, settings.max_new_tokens, wanted.top)
    settings.logprobs = true
    settings.measure = logprobs.measure(kinds[kind].logprobs, settings.tokenizer, wanted.top)
  end
  return settings
end

--- Serves a request for text: kind is "chat" or "completion". What comes of it goes to the exchange, turn by turn. What
-- is cheap is looked at first; a grammar is made in the scheduler's turn.
return function(server, kind, exchange)
  local body = exchange:body()
  if server.ending then error(Problem.new(503, "the server is ending", { close = true })) end
  local settings, wanted = read_fields(server, kind, body)
  server.scheduler:check_room(1)
  local lists = prompts[kind](server.subject, body)
  complete_settings(server, kind, settings, wanted, lists)
  local rows = make_rows(lists, settings, exchange.request.key)
  local answer = Answer.new {
    kind = kinds[kind], rows = rows, exchange = exchange, prepare = preparing(wanted.schema, rows, settings.tokenizer),
    model = server.subject.name, id = exchange.id, created = os.time(), stream = wanted.stream,
    include_usage = wanted.include_usage, logprobs = settings.logprobs,
    deadline = server.clock() + server.options.seconds,
  }
  exchange.connection.on_gone = function()
    server.scheduler:drop(answer)
    exchange:left()
  end
  server.scheduler:submit(answer)
end
