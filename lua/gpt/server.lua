--- A server for one model, with the HTTP interface of OpenAI and a page to chat with it: `require "gpt.server"`. It
-- needs luasocket, and is driven by its host's own loop; docs/server.md has the interface and its limits.
-- @classmod Server
-- @usage local server = require("gpt.server").new(model, { port = 0, tokenizer = tokenizer })
-- server:step(0.1)
-- server:close()

--- The address that it is bound to.
-- @tfield string Server.host

--- The port that it is bound to.
-- @tfield integer Server.port

--- Where a browser on this machine finds it: "http://127.0.0.1:8080/".
-- @tfield string Server.url

require "gpt"
local core = require "gpt.core"
local Connection = require "gpt.server.connection"
local Exchange = require "gpt.server.exchange"
local Log = require "gpt.server.log"
local Problem = require "gpt.server.problem"
local Scheduler = require "gpt.server.scheduler"
local guard = require "gpt.server.guard"
local listener = require "gpt.server.listener"
local methods = require "gpt.support.methods"
local needs = require "gpt.support.needs"
local options = require "gpt.server.options"
local prompts = require "gpt.server.prompts"
local raise = require "gpt.support.raise"
local routes = require "gpt.server.routes"
local subject = require "gpt.server.subject"
local Turns = require "gpt.server.turns"
local validate = require "gpt.support.validate"
local callable = require("gpt.generate.subject").callable

local Server = { __name = "gpt.Server" }
Server.__index = Server

function Server:__tostring()
  return ("Server(%s, %s, %s)"):format(self.subject.name, self.url,
    self.closed and "closed" or #self.connections .. " connections")
end

local server = {}

-- Seeds for requests without one, and numbers for requests. The host's random numbers stay as they are.
local function numbers()
  local state = os.time() ~ math.floor(os.clock() * 1e9) ~ (tonumber(tostring({}):match "0x(%x+)", 16) or 0)
  return function()
    state = state + 0x9E3779B97F4A7C15
    local z = (state ~ (state >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
    return z ~ (z >> 31)
  end
end

--- Makes a server and binds it to its port; nothing is served before `step` or `run`.
-- @function Server.new
-- @tparam Model model
-- @tparam[opt] table given `host` ("127.0.0.1"), `port` (8080; 0: the system chooses), `reuse_port` (false: several
-- processes may listen on the port); `name` of the model; `tokenizer` in place of model.tokenizer; `template` in place
-- of the tokenizer's chat template, or a function from messages to text; `sessions` (8) that advance at once, `queue`
-- (64) that wait, `slice` (64) tokens of prompts in a pass, `max_tokens` (4096) of an answer, `prompt_tokens`,
-- `kept_tokens` (8192) of finished conversations, `cache_dtype` ("f32" or "f16"); `seconds` (600) for an answer,
-- `request_seconds` (30) for a request to come, `idle_seconds` (75), `write_seconds` (30) without progress,
-- `finish_seconds` (600) for what is in flight at the end, `body_bytes` (1 MiB), `connections` (128);
-- `api_key` (a string or a list), `origins` of pages that may ask, `host_names` beside loopback's; `log` (a function of
-- a line)
-- @treturn Server
-- @usage local server = require("gpt.server").new(model, { port = 0, tokenizer = tokenizer, sessions = 4 })
-- print(server.port)
-- server:close()
function server.new(model, given)
  local what = "gpt.server"
  needs("os", what)
  local settings = options.read(what, given)
  local self = setmetatable({
    options = settings, created = os.time(), clock = core._now, number = numbers(),
    subject = subject.describe(what, model, settings),
    connections = {}, log = Log.new(settings.log),
    within = { step = false, run = false }, -- which is being called
    ending = false, -- takes no more connections, and from then on waits until:
    end_at = math.huge,
    accept_at = 0, -- not before, and because of that:
    accept_problem = nil,
    closed = false,
  }, Server)
  self.turns = Turns.new(function() return self.clock() end)
  self.scheduler = Scheduler.new(model, settings, self.subject.context_length, self.turns,
    function(...) self:report(...) end)
  local problem = prompts.template_problem(self.subject)
  if problem then self:report(problem) end
  self.listener = listener.open(what, settings)
  self.host, self.port = self.listener:address()
  self.url = ("http://%s:%d/"):format(self.host:find ":" and "[" .. self.host .. "]" or self.host, self.port)
  return self
end

-- Tells the log of an error.
function Server:report(problem)
  self.log:error(problem)
end

-- Anything that a request brings about ends in a response.
local function handle(self, connection, request, problem)
  self.turns:take()
  local exchange = Exchange.new {
    connection = connection, request = request, id = ("%016x"):format(self.number()), clock = self.clock,
    log = self.log,
  }
  local ok = not problem
  if ok then
    exchange.headers = request.more_headers
    ok, problem = guard(routes.serve, self, exchange)
  end
  if ok then return end
  local own = Problem.is(problem)
  if own and problem.close then connection.last = true end
  exchange:fail(problem, "the server failed; its log has more")
  local cause = not own and problem or own and problem.cause
  if cause then self:report(cause) end
end

-- Work for one connection, which ends where that fails.
local function attend(self, connection, method, now)
  local ok, problem = guard(connection[method], connection, now)
  if ok then return end
  connection:close()
  self:report(problem)
end

local function check(self, request)
  request.more_headers = routes.check(self.options, request)
end

local function connect(self, socket, now)
  local connection = Connection.new(socket, self.options, {
    handle = function(...) handle(self, ...) end, check = function(request) check(self, request) end,
    has_time = function() return self.turns:has_time() end,
  }, now)
  table.insert(self.connections, connection)
  connection.eof = not self.listener:fits(socket) -- then it is never waited for
  if #self.connections <= self.options.connections and not connection.eof then return connection:receive(now) end
  connection:refuse(Problem.new(503, "too many connections", { close = true, headers = { ["Retry-After"] = 1 } }), now)
end

local ACCEPT_AGAIN = 1 -- second

-- No descriptor is left for a client, for instance. He waits in the system's queue, and would make every wait for
-- sockets end at once: so nobody is let in for a moment. The log has it once, until it is over.
local function pause(self, problem, now)
  self.accept_at = now + ACCEPT_AGAIN
  if problem == self.accept_problem then return end
  self.accept_problem = problem
  self:report(("no connection can be accepted: %s; those that are there go on, and it is tried again"):format(problem))
end

local MOST_ACCEPTED = 64 -- in a step, or clients that come without end would be all that it sees

local function accept(self, now)
  for _ = 1, MOST_ACCEPTED do
    local socket, problem = self.listener:accept()
    if problem then pause(self, problem, now) end
    if not socket then return end
    self.accept_problem = nil
    connect(self, socket, now)
  end
end

-- The sockets to wait for: to be read, and to be written.
local function sockets(self, now)
  local accepts = not self.ending and now >= self.accept_at
  local reads, writes, by_socket = { accepts and self.listener.socket or nil }, {}, {}
  for _, connection in ipairs(self.connections) do
    by_socket[connection.socket] = connection
    if connection:wants_input() then reads[#reads + 1] = connection.socket end
    if connection:unread() > 0 then writes[#writes + 1] = connection.socket end
  end
  return reads, writes, by_socket
end

local function patience(self, timeout, now)
  local active, waiting = self.scheduler:counts()
  if active + waiting > 0 then return 0 end
  if now < self.accept_at then timeout = math.min(timeout, self.accept_at - now) end
  for _, connection in ipairs(self.connections) do
    timeout = math.min(timeout, math.max(connection:next_deadline() - now, 0))
  end
  return timeout
end

local function receive(self, timeout)
  local now = self.clock()
  local reads, writes, by_socket = sockets(self, now)
  local readable, writable = self.listener.select(reads, writes, patience(self, timeout, now))
  now = self.clock()
  for _, socket in ipairs(writable) do attend(self, by_socket[socket], "flush", now) end
  for _, socket in ipairs(readable) do
    if socket == self.listener.socket then accept(self, now) else attend(self, by_socket[socket], "receive", now) end
  end
end

-- Serves requests that came.
local function serve(self)
  local now = self.clock()
  self.turns:step(self.connections, function(connection) attend(self, connection, "serve", now) end)
end

local DUTIES = { "check_time", "flush" } -- of connections, in every step

local MOST_UNREAD = 64 << 20 -- bytes that clients may leave unread, all together

-- Of those who leave more unread than their share, the one who has for longest.
local function slowest(connections)
  local share, first = MOST_UNREAD / #connections, nil
  for _, connection in ipairs(connections) do
    local much = connection:unread() > share
    if much and not (first and first.unread_since <= connection.unread_since) then first = connection end
  end
  return first
end

-- Lets go of slow readers until what the others leave unread is little enough.
local function relieve(connections)
  local unread = 0
  for _, connection in ipairs(connections) do unread = unread + connection:unread() end
  while unread > MOST_UNREAD do
    local connection = slowest(connections)
    unread = unread - connection:unread()
    connection:close()
  end
end

-- Writes what is new, and lets go of connections that are over.
local function settle(self)
  relieve(self.connections)
  local now, open = self.clock(), {}
  for _, connection in ipairs(self.connections) do
    for _, method in ipairs(DUTIES) do attend(self, connection, method, now) end
    if connection.state ~= "closed" then open[#open + 1] = connection end
  end
  self.connections = open
end

-- A function of the host's that a step calls, its log for instance, cannot begin another one. Returns what ends it when
-- it is closed.
local function enter(self, what)
  local within = self.within
  if within.step or within[what] then
    raise("gpt.server: %s: the server is in its %s already, which called this", what, within.step and "step" or "run")
  end
  local entered = setmetatable({}, { __close = function() within[what] = false end })
  within[what] = true
  return entered
end

--- Serves for a moment: reads what came, advances all conversations by one token, writes what is new. It returns after
-- one pass; or, where no conversation is under way, as soon as something came, or after `timeout` seconds. What the
-- log's function raised is raised again in the end, when clients have their responses.
-- @function Server:step
-- @tparam[opt=0] number timeout
-- @treturn boolean whether conversations are under way
-- @usage local server = require("gpt.server").new(model, { port = 0, tokenizer = tokenizer })
-- while server:step(0.01) do end
-- server:close()
function Server:step(timeout)
  if self.closed then raise "gpt.server: the server is closed" end
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0) then
    raise("gpt.server: step: a timeout in seconds, 0 or more, expected, got %s", validate.show(timeout))
  end
  local entered <close> = enter(self, "step") -- luacheck: ignore
  receive(self, timeout or 0)
  serve(self)
  self.scheduler:check_time(self.clock())
  local busy = self.scheduler:turn()
  settle(self)
  self.log:settle()
  return busy
end

-- Whether something is still being answered or read that was when the end came. What begins later is not waited for.
local function in_flight(self)
  local active, waiting = self.scheduler:counts()
  local flying = active + waiting > 0
  for _, connection in ipairs(self.connections) do
    connection.awaited = connection.awaited and connection:in_flight()
    flying = flying or connection.awaited
  end
  return flying
end

--- Takes no more connections; who waits gets what it waits for, and each connection ends behind its response. `run`
-- then returns, after `finish_seconds` at the latest.
-- @function Server:finish
-- @usage local server = require("gpt.server").new(model, { port = 0, tokenizer = tokenizer })
-- server:finish()
-- server:run()
function Server:finish()
  if self.ending then return end
  self.ending, self.end_at = true, self.clock() + self.options.finish_seconds
  self.listener:close()
  for _, connection in ipairs(self.connections) do connection:finish() end
end

-- A step; where there is no memory for one, the next is another.
local function step_on(self)
  local ok, problem = guard(self.step, self, 0.25)
  if ok then return end
  if not core._is_memory_error(problem) then error(problem, 0) end
  collectgarbage()
end

local function is_over(self)
  return self.ending and (not in_flight(self) or self.clock() > self.end_at)
end

--- Serves until `stop` returns true: then no more is accepted, and it returns when what is in flight is done, or
-- `finish_seconds` are over. An error that is no request's, such as an interrupt (Ctrl-C) or one of the log's function,
-- closes the server and is raised again; too little memory is not.
-- @function Server:run
-- @tparam[opt] function stop called about four times a second at least
-- @usage local server = require("gpt.server").new(model, { port = 0, tokenizer = tokenizer })
-- server:run(function() return true end)
function Server:run(stop)
  if stop and not callable(stop) then
    raise("gpt.server: run: a function that says when to stop expected, got %s", validate.show(stop))
  end
  local entered <close> = enter(self, "run") -- luacheck: ignore
  local running <close> = self -- luacheck: ignore
  while not is_over(self) do
    if not self.ending and stop and stop() then self:finish() end
    step_on(self)
  end
end

--- Ends it at once: who waits gets 503.
-- @function Server:close
-- @usage local server = require("gpt.server").new(model, { port = 0, tokenizer = tokenizer })
-- server:close()
function Server:close()
  if self.closed then return end
  self.ending = true
  self.listener:close()
  self.scheduler:fail_all(Problem.new(503, "the server has ended"))
  settle(self)
  for _, connection in ipairs(self.connections) do connection:close() end
  self.connections, self.closed = {}, true
  self.scheduler.prefixes:clear()
  self.log:settle()
end

--- Forgets what was computed: to be called after a change of the model's weights. Conversations under way go on with
-- what they have, and nobody else will.
-- @function Server:forget
-- @usage local server = require("gpt.server").new(model, { port = 0, tokenizer = tokenizer })
-- server:forget()
-- server:close()
function Server:forget()
  self.scheduler.prefixes:clear()
end

methods.check("a gpt.Server", Server, Server)
Server.__close = Server.close

server._methods = setmetatable({ new = server.new }, { __index = Server }) -- for gpt.help

return server
