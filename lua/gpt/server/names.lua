-- How the options that say who may ask are written: keys, sites, and names of the server. What no request could ever
-- match is refused, or put right where that is plain.
local names = {}

local USUAL_PORTS = { http = ":80", https = ":443" } -- which browsers leave out

-- "[::1]:8080" -> "[::1]", ":8080"; nothing where it is no host with or without a port.
local function split_port(text)
  local host, port = text:match "^(%[[0-9a-f:.]+%])(.*)$"
  if not host then host, port = text:match "^([-._0-9a-z]+)(.*)$" end
  if host and (port == "" or port:find "^:%d+$") then return host, port end
end

--- A key, as it can stand behind "Bearer".
function names.key(value)
  if value:find "^[^\0-\x20\x7F]+$" then return value end
  return nil, "a key without blanks and control characters"
end

--- A site, as browsers name it: in lower case, without a path and the port that is usual.
function names.origin(value)
  if value == "*" or value == "null" then return value end
  local scheme, rest = value:lower():match "^([a-z][-+.0-9a-z]*)://(.-)/?$"
  local host, port = split_port(rest or "")
  if host then return scheme .. "://" .. host .. (port == USUAL_PORTS[scheme] and "" or port) end
  return nil, 'an origin, scheme://host or scheme://host:port, such as "https://example.org", or "*"'
end

--- A name of the server's, as it stands before the port in a request's header Host: in lower case, without brackets.
function names.host(value)
  if value == "*" then return value end
  local host = value:lower():gsub("^%[(.*)%]$", "%1")
  if host:find "^[-._0-9a-z]+$" or host:find "^[0-9a-f.]*:[0-9a-f:.]*:[0-9a-f:.]*$" then return host end
  return nil, 'a host\'s name without scheme and port, such as "gpt.example.org", or "*"'
end

return names
