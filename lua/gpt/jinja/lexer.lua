-- A template's text as tokens. White space is handled as chat templates are written for: the line break after a block
-- or comment goes (trim_blocks), blanks before one that begins a line too (lstrip_blocks); `-` beside a mark removes
-- all white space there, `+` keeps it.
local fault = require "gpt.jinja.fault"

local CLOSERS = { ["{{"] = "}}", ["{%"] = "%}", ["{#"] = "#}" }
local TWO = {}
for operator in ("== != <= >= // **"):gmatch "%S+" do TWO[operator] = true end
local ONE = "[%+%-%*/%%~<>=%.,:|%(%)%[%]{}]"
local OPENERS = { ["("] = ")", ["["] = "]", ["{"] = "}" }
local ESCAPES = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f", v = "\v", a = "\a", ["0"] = "\0" }

local Lexer = {}
Lexer.__index = Lexer

function Lexer:push(kind, value) self.tokens[#self.tokens + 1] = { kind = kind, value = value, line = self.line } end

-- Goes past text up to (not including) position `to`, counting its lines.
function Lexer:advance(to)
  for _ in self.source:sub(self.at, to - 1):gmatch "\n" do self.line = self.line + 1 end
  self.at = to
end

function Lexer:match(pattern) return self.source:match("^" .. pattern, self.at) end

-- The characters of an escape sequence behind a backslash, and how many bytes it took.
local function escape(source, at)
  local digits = source:match("^x(%x%x)", at) or source:match("^u(%x%x%x%x)", at) or
    source:match("^U(%x%x%x%x%x%x%x%x)", at)
  if digits and tonumber(digits, 16) <= 0x10FFFF then return utf8.char(tonumber(digits, 16)), 1 + #digits end
  local letter = source:sub(at, at)
  if ESCAPES[letter] then return ESCAPES[letter], 1 end
  if letter == "\n" then return "", 1 end
  if letter == "\\" or letter == "'" or letter == '"' then return letter, 1 end
  return "\\", 0 -- as Python: an unknown escape stays as it is
end

function Lexer:string(quote)
  local parts, at = {}, self.at + 1
  while true do
    local stop = self.source:find("[\\" .. quote .. "]", at)
    if not stop then fault.raise(self.line, "a string that begins here has no end") end
    parts[#parts + 1] = self.source:sub(at, stop - 1)
    if self.source:sub(stop, stop) == quote then
      self:push("string", table.concat(parts))
      return self:advance(stop + 1)
    end
    local character, bytes = escape(self.source, stop + 1)
    parts[#parts + 1] = character
    at = stop + 1 + bytes
  end
end

function Lexer:number()
  local digits = self:match "%d[%d_]*%.%d[%d_]*[eE][%+%-]?%d+" or self:match "%d[%d_]*[eE][%+%-]?%d+"
    or self:match "%d[%d_]*%.%d[%d_]*" or self:match "%d[%d_]*"
  local value = tonumber((digits:gsub("_", "")))
  self:push("number", value)
  self:advance(self.at + #digits)
end

function Lexer:operator()
  local two = self.source:sub(self.at, self.at + 1)
  local operator = TWO[two] and two or self:match(ONE)
  if not operator then fault.raise(self.line, "'%s' has no meaning here", self:match(utf8.charpattern) or "?") end
  self:push("operator", operator)
  self:advance(self.at + #operator)
  return operator
end

-- Where brackets stand open, a closing brace belongs to them.
function Lexer:balance(operator, open)
  if OPENERS[operator] then
    open[#open + 1] = OPENERS[operator]
  elseif operator == ")" or operator == "]" or operator == "}" then
    if open[#open] ~= operator then fault.raise(self.line, "'%s' closes nothing here", operator) end
    open[#open] = nil
  end
end

-- The tokens between a mark and the one that closes it; returns how that one trims: "-", "+" or "".
function Lexer:code(closer)
  local first, open = self.line, {}
  while true do
    self:advance(self.source:find("%S", self.at) or #self.source + 1)
    local trim = #open == 0 and self:match("([%-%+]?)" .. closer:gsub("%p", "%%%0"))
    if trim then
      self:advance(self.at + #trim + 2)
      return trim
    end
    local character = self.source:sub(self.at, self.at)
    if character == "" then fault.raise(first, "a '%s' is missing", closer) end
    if character == '"' or character == "'" then self:string(character)
    elseif character:find "%d" then self:number()
    elseif character:find "[%a_\x80-\xff]" then
      local name = self:match "[%w_\x80-\xff]+"
      self:push("name", name)
      self:advance(self.at + #name)
    else self:balance(self:operator(), open) end
  end
end

-- What stands before a mark, as far as it stays.
local function trim_before(text, mark, trim, line_start)
  if trim == "-" then return text:sub(1, (text:match "^.*%S()" or 1) - 1) end
  if trim == "+" or mark == "{{" then return text end
  local head = text:sub(1, (text:match "^.*[^ \t]()" or 1) - 1)
  local begins_line = head:sub(-1) == "\n" or head == "" and line_start
  return begins_line and head or text
end

-- After a mark is closed.
function Lexer:trim_after(mark, trim)
  if trim == "-" then return self:advance(self.source:find("%S", self.at) or #self.source + 1) end
  if trim ~= "+" and mark ~= "{{" and self.source:sub(self.at, self.at) == "\n" then self:advance(self.at + 1) end
end

-- {% raw %} ... {% endraw %}: what is between is text.
function Lexer:raw(trim)
  self:trim_after("{%", trim)
  local first, last, before, after = self.source:find("{%%([%-%+]?)%s*endraw%s*([%-%+]?)%%}", self.at)
  if not first then fault.raise(self.line, "{%% raw %%} has no {%% endraw %%}") end
  local text = trim_before(self.source:sub(self.at, first - 1), "{%", before, false)
  self:push("data", text)
  self:advance(last + 1)
  self:trim_after("{%", after)
end

function Lexer:comment()
  local first, last, trim = self.source:find("([%-%+]?)#}", self.at)
  if not first then fault.raise(self.line, "a '#}' is missing") end
  self:advance(last + 1)
  self:trim_after("{#", trim)
end

-- One mark and what is in it.
function Lexer:tag(mark)
  if mark == "{#" then return self:comment() end
  local raw = mark == "{%" and self.source:match("^%s*raw%s*([%-%+]?)%%}()", self.at)
  if raw then
    self:advance(select(2, self.source:match("^%s*raw%s*([%-%+]?)%%}()", self.at)))
    return self:raw(raw)
  end
  self:push(mark == "{{" and "print" or "block")
  local trim = self:code(CLOSERS[mark])
  self:push "end"
  self:trim_after(mark, trim)
end

function Lexer:run()
  while self.at <= #self.source do
    local first = self.source:find("{[{%%#]", self.at)
    local text = self.source:sub(self.at, first and first - 1)
    local start_of_line = self.at == 1 or self.source:sub(self.at - 1, self.at - 1) == "\n"
    local mark, trim
    if first then mark, trim = self.source:match("^({[{%%#])([%-%+]?)", first) end
    if mark == "{{" and trim == "+" then trim = "" end -- a sign, not a mark's
    local kept = first and trim_before(text, mark, trim, start_of_line) or text
    if kept ~= "" then self:push("data", kept) end
    self:advance(first and first + 2 + #trim or #self.source + 1)
    if first then self:tag(mark) end
  end
  self:push "eof"
  return self.tokens
end

--- A list of tokens { kind, value, line }: kinds data, print (a `{{`), block (a `{%`), end, name, string, number,
-- operator, eof.
return function(source)
  source = source:gsub("\r\n?", "\n"):gsub("\n$", "") -- as the reference: the file's last line break is not the text's
  return setmetatable({ source = source, at = 1, line = 1, tokens = {} }, Lexer):run()
end
