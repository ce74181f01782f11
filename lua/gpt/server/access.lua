-- Who may ask: keys, and pages of other sites in a browser on this machine.
local Problem = require "gpt.server.problem"

local access = {}

-- Whether two strings are equal. It takes as long for any `given` of one length.
local function same(given, key)
  local difference = #given ~ #key
  for i = 1, #given do
    difference = difference | given:byte(i) ~ key:byte((i - 1) % #key + 1)
  end
  return difference == 0
end

local function has_key(keys, given)
  local found = false
  for _, key in ipairs(keys) do found = same(given, key) or found end
  return found
end

--- Raises 401 where the server has keys, and the request none of them. Otherwise `request.key` is the request's.
function access.check_key(options, request)
  if not options.api_key then return end
  local given = (request.headers.authorization or ""):match "^[Bb]earer +(%S+)$"
  if given and has_key(options.api_key, given) then
    request.key = given
    return
  end
  local what = given and "this API key is not one of the server's" or "an API key is needed: Authorization: Bearer KEY"
  error(Problem.new(401, what, { code = "invalid_api_key", headers = { ["WWW-Authenticate"] = "Bearer" } }))
end

local function is_loopback(host)
  return host == "localhost" or host:find "^127%.%d+%.%d+%.%d+$" or host == "::1"
    or host:find "%.localhost$"
end

-- "localhost:8080" -> "localhost", "[::1]:8080" -> "::1"
local function name_of(host)
  return (host:match "^%[([%x:.]+)%]:?%d*$" or host:match "^([^:]*):%d*$" or host):lower()
end

-- A server on loopback is called by a name of loopback, or one that it was told. Otherwise a page of another site could
-- give itself this address (DNS rebinding).
local function check_host(options, host)
  local name = host and name_of(host)
  if not name or not is_loopback(options.host) or is_loopback(name) or name == options.host then return end
  for _, known in ipairs(options.host_names or {}) do
    if known == "*" or name == known:lower() then return end
  end
  error(Problem.new(403, "this server is not called by that name; its option host_names lists more", {
    code = "unknown_host" }))
end

local function allowed(options, origin)
  for _, known in ipairs(options.origins or {}) do
    if known == "*" or known == origin then return true end
  end
  return false
end

-- Browsers send the origin of the page that asks. Ours is the host that was asked.
local function is_own(origin, host)
  return host ~= nil and origin:gsub("^https?://", ""):lower() == host:lower()
end

--- Raises 403 for a page of another site that the server was not told of. Returns the headers that let it read what
-- comes back.
function access.check_origin(options, request)
  local host, origin = request.headers.host, request.headers.origin
  check_host(options, host)
  if not origin or is_own(origin, host) then return {} end
  if allowed(options, origin) then
    return {
      ["Access-Control-Allow-Origin"] = origin, ["Access-Control-Allow-Headers"] = "authorization, content-type",
      ["Access-Control-Allow-Methods"] = "GET, POST", Vary = "Origin",
    }
  end
  error(Problem.new(403, "pages of this origin may not ask here; the server's option origins lists those that may", {
    code = "unknown_origin" }))
end

return access
