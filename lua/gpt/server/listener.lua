-- The port, by luasocket.
local attempt = require "gpt.support.attempt"
local raise = require "gpt.support.raise"

local listener = {}

local Listener = {}
Listener.__index = Listener

local BACKLOG = 256

-- What is wrong, in one line. A program with Lua in it has to let modules find Lua's functions in it.
local function reason(problem)
  local text = tostring(problem)
  if text:find "^module 'socket[%w.]*' not found" then
    return ("is not installed (Debian: apt-get install lua-socket; LuaRocks: luarocks --lua-version 5.4 install "
      .. "luasocket): %s"):format(text:match "^(.-):?\n" or text)
  end
  local hidden = text:find "undefined symbol: lua" and "; a program that is linked with Lua exports it by -Wl,-E" or ""
  return "cannot be loaded: " .. text:gsub("%s*\n%s*", " ") .. hidden
end

local function load_socket()
  local ok, socket = attempt(require, "socket")
  if ok then return socket end
  return raise("gpt.server needs luasocket, which %s", reason(socket))
end

local socket = load_socket()

local function check(what, options, ok, problem)
  if ok then return ok end
  return raise("%s: %s port %d: %s", what, options.host, options.port, problem)
end

-- Whether select can wait for a socket: the system numbers them, and select's set ends somewhere.
local function fits(any) return any:getfd() < socket._SETSIZE end

local function check_number(what, options, self)
  if fits(self) then return end
  local number = self:getfd()
  self:close()
  raise("%s: %s port %d: this process has so many files open that the socket has the number %d, and luasocket waits "
    .. "only for those below %d; open the server before the other files, or close some", what, options.host,
    options.port, number, socket._SETSIZE)
end

--- Binds to the options' host and port.
function listener.open(what, options)
  local make = options.host:find ":" and socket.tcp6 or socket.tcp4
  local self = check(what, options, make())
  check_number(what, options, self)
  self:setoption("reuseaddr", true)
  if options.reuse_port then check(what, options, self:setoption("reuseport", true)) end
  local ok, problem = self:bind(options.host, options.port)
  if ok then ok, problem = self:listen(BACKLOG) end
  if not ok then self:close() end
  check(what, options, ok, problem)
  self:settimeout(0)
  return setmetatable({ socket = self, select = socket.select }, Listener)
end

--- The host and port that it is bound to.
function Listener:address()
  local host, port = self.socket:getsockname()
  return host, math.tointeger(tonumber(port))
end

--- A socket; nil where nobody waits; nil and the reason where the system cannot let in who waits.
function Listener:accept()
  if not self.socket then return nil end
  local client, problem = self.socket:accept()
  if client then client:setoption("tcp-nodelay", true) end
  return client, problem ~= "timeout" and problem or nil
end

--- Whether it can be waited for.
function Listener.fits(_, client)
  return fits(client)
end

--- Lets go of the port.
function Listener:close()
  if self.socket then self.socket:close() end
  self.socket = nil
end

return listener
