-- Lua's source as HTML, with spans for what has a colour.
local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch "%S+" do KEYWORDS[word] = true end

local ESCAPES = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;" }

local function escape(text) return (text:gsub("[<>&]", ESCAPES)) end

local function span(class, text) return ('<span class="%s">%s</span>'):format(class, escape(text)) end

-- The end of a string in quotes that starts at a place; one that is not closed ends with its line.
local function string_end(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text and text:sub(i, i) ~= quote and text:sub(i, i) ~= "\n" do
    i = i + (text:sub(i, i) == "\\" and 2 or 1)
  end
  return text:sub(i, i) == quote and i or i - 1
end

local function long_end(text, at, equals)
  local _, last = text:find("]" .. equals .. "]", at, true)
  return last or #text
end

-- What stands at a place: its last byte, and its class.
local function token(text, at)
  local equals = text:match("^%-%-%[(=*)%[", at)
  if equals then return long_end(text, at, equals), "comment" end
  if text:find("^%-%-", at) then return (text:find("\n", at, true) or #text + 1) - 1, "comment" end
  equals = text:match("^%[(=*)%[", at)
  if equals then return long_end(text, at, equals), "string" end
  if text:find("^[\"']", at) then return string_end(text, at), "string" end
  local word = text:match("^[%a_][%w_]*", at)
  if word then return at + #word - 1, KEYWORDS[word] and "keyword" end
  local number = text:match("^%d[%w.]*", at)
  if number then return at + #number - 1, "number" end
  return at
end

return function(text)
  local parts, at = {}, 1
  while at <= #text do
    local last, class = token(text, at)
    local piece = text:sub(at, last)
    parts[#parts + 1] = class and span(class, piece) or escape(piece)
    at = last + 1
  end
  return table.concat(parts)
end
