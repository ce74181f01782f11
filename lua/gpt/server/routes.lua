-- Which path does what.
local Problem = require "gpt.server.problem"
local access = require "gpt.server.access"
local generate = require "gpt.server.generation"
local page = require "gpt.server.page"

local routes = {}

local function percent_decoded(path)
  return (path:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function model_object(server)
  return { id = server.subject.name, object = "model", created = server.created, owned_by = "luagpt" }
end

local function list_models(server, exchange)
  exchange:json(200, { object = "list", data = { model_object(server) } })
end

local function one_model(server, exchange, name)
  if percent_decoded(name) ~= server.subject.name then
    error(Problem.new(404, "there is no model of that name; GET /v1/models lists what there is", {
      code = "model_not_found" }))
  end
  exchange:json(200, model_object(server))
end

local function health(server, exchange)
  local active, waiting = server.scheduler:counts()
  exchange:json(server.ending and 503 or 200, {
    status = server.ending and "ending" or "ok", model = server.subject.name, active = active, waiting = waiting,
  })
end

local function show_page(_, exchange)
  exchange:send(200, "text/html; charset=utf-8", page, {
    ["Content-Security-Policy"] = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
      .. "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ["Referrer-Policy"] = "no-referrer",
  })
end

local function completions(kind)
  return function(server, exchange) generate(server, kind, exchange) end
end

-- open: without a key, too.
local TABLE = {
  { "^/$", GET = show_page, open = true },
  { "^/health$", GET = health, open = true },
  { "^/v1/models/?$", GET = list_models },
  { "^/v1/models/(.+)$", GET = one_model },
  { "^/v1/completions$", POST = completions "completion" },
  { "^/v1/chat/completions$", POST = completions "chat" },
}

local function find(path)
  for _, route in ipairs(TABLE) do
    local name = path:match(route[1])
    if name then return route, name end
  end
end

local function allow(route)
  return route.GET and "GET, HEAD, OPTIONS" or "POST, OPTIONS"
end

--- Raises a Problem where the request may not be served, before its body has come. Returns more headers for the
-- response.
function routes.check(options, request)
  local headers = access.check_origin(options, request)
  local route = find(request.path)
  if request.method ~= "OPTIONS" and not (route and route.open) then access.check_key(options, request) end
  return headers
end

--- Serves a request whose body has come.
function routes.serve(server, exchange)
  local request = exchange.request
  local route, name = find(request.path)
  if not route then error(Problem.new(404, "there is nothing at this path")) end
  if request.method == "OPTIONS" then
    return exchange:send(204, "text/plain", "", { Allow = allow(route) })
  end
  local serve = route[request.method == "HEAD" and "GET" or request.method]
  if not serve then
    error(Problem.new(405, ("this path takes %s"):format(allow(route)), { headers = { Allow = allow(route) } }))
  end
  serve(server, exchange, name)
end

return routes
