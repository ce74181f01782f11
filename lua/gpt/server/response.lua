-- HTTP responses as text.
local neutral = require "gpt.support.neutral"

local response = {}

local REASONS = {
  [200] = "OK", [204] = "No Content", [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden",
  [404] = "Not Found", [405] = "Method Not Allowed", [408] = "Request Timeout", [411] = "Length Required",
  [413] = "Content Too Large", [415] = "Unsupported Media Type", [417] = "Expectation Failed",
  [429] = "Too Many Requests", [431] = "Request Header Fields Too Large", [500] = "Internal Server Error",
  [501] = "Not Implemented", [503] = "Service Unavailable", [505] = "HTTP Version Not Supported",
}
local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

response.CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"

-- As HTTP writes it, in English whatever the locale.
function response.date(time)
  local t = os.date("!*t", time)
  return ("%s, %02d %s %d %02d:%02d:%02d GMT"):format(DAYS[t.wday], t.day, MONTHS[t.month], t.year, t.hour, t.min,
    t.sec)
end

--- Status line and headers, with the empty line behind them.
-- @tparam integer status
-- @tparam table headers values by name
function response.head(status, headers)
  local names, lines = {}, { ("HTTP/1.1 %d %s"):format(status, REASONS[status] or "Status") }
  for name in pairs(headers) do names[#names + 1] = name end
  neutral.sort(names)
  for _, name in ipairs(names) do lines[#lines + 1] = name .. ": " .. tostring(headers[name]) end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

--- A piece of a body of unknown length; an empty one ends it.
function response.chunk(text)
  return ("%x\r\n%s\r\n"):format(#text, text)
end

return response
