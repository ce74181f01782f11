-- The head of an HTTP request: request line and headers, and what they say of the body.
local Problem = require "gpt.server.problem"

local head = {}

local MOST_HEADERS = 100

local TOKEN = "[%w!#$%%&'*+%-.^_`|~]+"
local REQUEST_LINE = "^(" .. TOKEN .. ") ([\x21-\x7E\x80-\xFF]+) HTTP/(%d)%.(%d)$"
local NAME = "^(" .. TOKEN .. "):[ \t]*()" -- of a header, and where its value begins

local function refuse(status, message)
  error(Problem.new(status, message, { close = true }))
end

local function read_request_line(line)
  local method, target, major, minor = line:match(REQUEST_LINE)
  if not method then refuse(400, "the request line is not HTTP's: METHOD TARGET HTTP/1.1") end
  if major ~= "1" then refuse(505, "this server speaks HTTP/1.1, not HTTP/" .. major .. "." .. minor) end
  return method, target, minor ~= "0"
end

-- Headers that come twice are one list, but for those that there can be one of.
local ONCE = { host = true, ["content-length"] = true, authorization = true, ["content-type"] = true }

-- Name and value of a header's line. The value's end is looked for from behind: a pattern that tried to end it at each
-- blank would read the blanks behind that one each time.
local function split_line(line)
  local name, first = line:match(NAME)
  if not name then refuse(400, "a header line is not `Name: value`") end
  return name, line:sub(first, (line:match("^.*[^ \t]()", first) or first) - 1)
end

local function add_header(headers, line)
  local name, value = split_line(line)
  if value:find "[%z\x01-\x08\x0A-\x1F\x7F]" then refuse(400, "a header has control characters") end
  name = name:lower()
  local before = headers[name]
  if before and ONCE[name] then refuse(400, ("the header %s came twice"):format(name)) end
  headers[name] = before and before .. ", " .. value or value
end

local function read_headers(lines)
  local headers, count = {}, 0
  for line in lines do
    count = count + 1
    if count > MOST_HEADERS then refuse(431, ("more than %d headers"):format(MOST_HEADERS)) end
    add_header(headers, line)
  end
  return headers
end

-- "/v1/models?a=b", or the same behind "http://host", which a proxy's client may send.
local function split_target(target)
  local rest = target:gsub("^[hH][tT][tT][pP][sS]?://[^/?#]*", "")
  local path, query = rest:match "^([^?#]*)%??([^#]*)"
  return path == "" and "/" or path, query
end

local function lists(value, word)
  return value ~= nil and ("," .. value:lower():gsub("%s", "") .. ","):find("," .. word .. ",", 1, true) ~= nil
end

-- How the body comes: "chunked", or its length, or nil where there is none. Two lengths, which two programs on the way
-- could read differently, are refused.
local function read_framing(headers, current)
  local coding, length = headers["transfer-encoding"], headers["content-length"]
  if coding then
    if length or not current then refuse(400, "transfer-encoding beside content-length, or in HTTP/1.0") end
    if coding:lower() ~= "chunked" then refuse(501, "transfer-encoding: chunked is the only one there is") end
    return "chunked"
  end
  if not length then return nil end
  if not length:find "^%d+$" then refuse(400, "content-length: one whole number of digits expected") end
  return #length > 15 and math.huge or math.tointeger(tonumber(length))
end

-- A compressed body would be read as it is.
local function check_coding(headers)
  local coding = headers["content-encoding"]
  if coding and coding:lower() ~= "identity" then refuse(415, "content-encoding: bodies have to come as they are") end
end

local function read_expect(headers)
  local expect = headers.expect
  if not expect then return false end
  if expect:lower() ~= "100-continue" then refuse(417, "expect: 100-continue is the only one there is") end
  return true
end

--- Reads a head, without the empty line that ends it.
-- @treturn table `method`, `target`, `path`, `query`, `headers` (by names in lower case), `framing` ("chunked", a
-- length, or nil), `expects` (the client waits for 100 Continue), `current` (HTTP/1.1), `keep_alive`
-- @raise a Problem
function head.read(text)
  if text:gsub("\r\n", ""):find "[\r\n]" then refuse(400, "lines end with CR LF") end
  local lines = (text .. "\r\n"):gmatch "(.-)\r\n"
  local method, target, current = read_request_line(lines())
  local headers = read_headers(lines)
  if current and not headers.host then refuse(400, "the header host is missing") end
  check_coding(headers)
  local path, query = split_target(target)
  local connection = headers.connection
  return {
    method = method, target = target, path = path, query = query, headers = headers, current = current,
    framing = read_framing(headers, current),
    expects = current and read_expect(headers),
    keep_alive = not lists(connection, "close") and (current or lists(connection, "keep-alive")),
  }
end

return head
