-- From a request's body to rows that grow.
local Answer = require "gpt.server.answer"
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

-- A row for each prompt.
local function make_rows(lists, settings)
  local rows = {}
  for i, ids in ipairs(lists) do
    rows[i] = Row.new("server", settings, { ids = ids, form = "text" }, i)
    rows[i].prompt_length = #ids
  end
  return rows
end

-- How many log probabilities beside each token's own are wanted; nil: none at all.
local function top_logprobs(kind, body)
  if kind == "completion" then return fields.whole(body, "logprobs", 0, MOST_TOP_LOGPROBS) end
  local wanted, most = fields.flag(body, "logprobs"), fields.whole(body, "top_logprobs", 0, MOST_TOP_LOGPROBS)
  if most and not wanted then Problem.field("top_logprobs", "top_logprobs: logprobs has to be true") end
  return wanted and (most or 0) or nil
end

-- The context's last place is for a token that is drawn and not run.
local function length_limit(server, kind, body, lists)
  local limit = sampling.length(body) or kind == "completion" and USUAL_LENGTH or server.options.max_tokens
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

local function read_settings(server, kind, body, lists)
  local settings = sampling.read(body, length_limit(server, kind, body, lists))
  settings.given.seed = settings.given.seed or server.number()
  settings.tokenizer = server.subject.tokenizer
  local turn_end = kind == "chat" and server.subject.turn_end
  if turn_end then settings.stop.ids[turn_end] = true end
  local top = top_logprobs(kind, body)
  if top then
    check_measured(kind, lists, settings.max_new_tokens, top)
    settings.logprobs = true
    settings.measure = logprobs.measure(kinds[kind].logprobs, settings.tokenizer, top)
  end
  return settings
end

local function check_body(body)
  sampling.check(body)
  fields.string(body, "model")
  fields.string(body, "user")
  return fields.object(body, "stream_options") or {}
end

--- Serves a request for text: kind is "chat" or "completion". What comes of it goes to the exchange, turn by turn.
return function(server, kind, exchange)
  local body = exchange:body()
  if server.ending then error(Problem.new(503, "the server is ending", { close = true })) end
  local stream_options = check_body(body)
  local lists = prompts[kind](server.subject, body)
  local settings = read_settings(server, kind, body, lists)
  local answer = Answer.new {
    kind = kinds[kind], rows = make_rows(lists, settings), exchange = exchange,
    model = server.subject.name, id = exchange.id, created = os.time(), stream = fields.flag(body, "stream"),
    include_usage = fields.flag(stream_options, "include_usage"), logprobs = settings.logprobs,
    deadline = server.clock() + server.options.seconds,
  }
  exchange.connection.on_gone = function() server.scheduler:drop(answer) end
  server.scheduler:submit(answer)
end
