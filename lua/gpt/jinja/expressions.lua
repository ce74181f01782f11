-- The expressions of templates, from the loosest binding to the tightest: a if b else c, or, and, not, comparisons,
-- + -, ~, * / // %, - +, **, then what stands behind a value: .name, [key], (arguments), | filter, is test.
local fault = require "gpt.jinja.fault"

local DEEPEST = 60 -- brackets and statements inside each other

local expressions = {}

function expressions:peek(offset) return self.tokens[self.at + (offset or 0)] end

function expressions:next()
  local token = self.tokens[self.at]
  if token.kind ~= "eof" then self.at = self.at + 1 end
  return token
end

local function describe(token)
  if token.kind == "eof" then return "the end of the template" end
  if token.kind == "end" then return "the end of the block" end
  return token.value and ("'%s'"):format(token.value) or token.kind
end

local NAMES = { ["end"] = "the end of the block", name = "a name" }

function expressions:accept(kind, value)
  local token = self:peek()
  if token.kind == kind and (value == nil or token.value == value) then return self:next() end
end

function expressions:expect(kind, value)
  local token = self:accept(kind, value)
  if token then return token end
  local wanted = value and ("'%s'"):format(value) or NAMES[kind] or kind
  fault.raise(self:peek().line, "%s expected, got %s", wanted, describe(self:peek()))
end

function expressions:deeper()
  self.depth = self.depth + 1
  if self.depth > DEEPEST then fault.raise(self:peek().line, "nested more than %d deep", DEEPEST) end
end

function expressions:shallower() self.depth = self.depth - 1 end

-- Words that end an expression where a name could stand.
local WORDS = {}
for word in ("if else and or not is in"):gmatch "%a+" do WORDS[word] = true end

function expressions:expression()
  self:deeper()
  local value = self:disjunction()
  while self:peek().kind == "name" and self:peek().value == "if" do
    local line = self:next().line
    local node = { kind = "choice", line = line, test = self:disjunction(), yes = value }
    if self:accept("name", "else") then node.no = self:expression() end
    value = node
  end
  self:shallower()
  return value
end

-- Several expressions with commas between them are a tuple.
function expressions:tuple()
  local first = self:expression()
  if self:peek().value ~= "," or self:peek().kind ~= "operator" then return first end
  local node = { kind = "list", line = first.line, items = { first }, tuple = true }
  while self:accept("operator", ",") do
    if self:peek().kind == "end" then break end
    node.items[#node.items + 1] = self:expression()
  end
  return node
end

function expressions:disjunction()
  local left = self:conjunction()
  while self:peek().kind == "name" and self:peek().value == "or" do
    left = { kind = "or", line = self:next().line, left = left, right = self:conjunction() }
  end
  return left
end

function expressions:conjunction()
  local left = self:negation()
  while self:peek().kind == "name" and self:peek().value == "and" do
    left = { kind = "and", line = self:next().line, left = left, right = self:negation() }
  end
  return left
end

function expressions:negation()
  local token = self:accept("name", "not")
  if not token then return self:comparison() end
  self:deeper()
  local node = { kind = "not", line = token.line, value = self:negation() }
  self:shallower()
  return node
end

local COMPARISONS = { ["=="] = true, ["!="] = true, ["<"] = true, [">"] = true, ["<="] = true, [">="] = true }

function expressions:comparison_operator()
  local token = self:peek()
  if token.kind == "operator" and COMPARISONS[token.value] then return self:next().value end
  if self:accept("name", "in") then return "in" end
  local after = self:peek(1)
  if token.kind == "name" and token.value == "not" and after.kind == "name" and after.value == "in" then
    self.at = self.at + 2
    return "not in"
  end
end

function expressions:comparison()
  local first, line = self:sum(), self:peek().line
  local operator = self:comparison_operator()
  if not operator then return first end
  local node = { kind = "compare", line = line, first = first, rest = {} }
  while operator do
    table.insert(node.rest, { operator = operator, value = self:sum() })
    operator = self:comparison_operator()
  end
  return node
end

-- A level of binary operators that are taken from the left.
local function level(operators, tighter)
  return function(self)
    local left = self[tighter](self)
    while self:peek().kind == "operator" and operators[self:peek().value] do
      local token = self:next()
      left = { kind = "binary", line = token.line, operator = token.value, left = left, right = self[tighter](self) }
    end
    return left
  end
end

expressions.sum = level({ ["+"] = true, ["-"] = true }, "joint")
expressions.joint = level({ ["~"] = true }, "product")
expressions.product = level({ ["*"] = true, ["/"] = true, ["//"] = true, ["%"] = true }, "power")
expressions.power = level({ ["**"] = true }, "signed")

-- A filter takes in the sign before its value: -1 | abs is 1.
function expressions:signed(unfiltered)
  local token = self:peek()
  local signs, node = token.kind == "operator" and (token.value == "-" or token.value == "+")
  if signs then
    self:next()
    self:deeper()
    node = { kind = "sign", line = token.line, operator = token.value, value = self:signed(true) }
    self:shallower()
  else
    node = self:postfixed()
  end
  return unfiltered and node or self:filtered(node)
end

-- Call arguments behind "(": by position, then by name.
function expressions:arguments()
  local positional, named = {}, {}
  while not self:accept("operator", ")") do
    local after = self:peek(1)
    if self:peek().kind == "name" and after.kind == "operator" and after.value == "=" then
      local name = self:next().value
      self:next()
      table.insert(named, { name = name, value = self:expression() })
    else
      if #named > 0 then fault.raise(self:peek().line, "an argument by position comes after one by name") end
      table.insert(positional, self:expression())
    end
    if not self:accept("operator", ",") then
      self:expect("operator", ")")
      break
    end
  end
  return positional, named
end

-- [key] or [first:last:step]
function expressions:subscript(value, line)
  local node, parts, colons = { line = line, value = value }, {}, 0
  while not self:accept("operator", "]") do
    if self:accept("operator", ":") then
      colons = colons + 1
    else
      if parts[colons + 1] or colons > 2 then self:expect("operator", "]") end
      parts[colons + 1] = self:expression()
    end
  end
  if colons == 0 then
    if not parts[1] then fault.raise(line, "[]: an index is missing") end
    node.kind, node.key = "item", parts[1]
  else
    node.kind, node.first, node.last, node.step = "slice", parts[1], parts[2], parts[3]
  end
  return node
end

function expressions:postfixed()
  local value = self:primary()
  while self:peek().kind == "operator" do
    local token = self:peek()
    if token.value == "." then
      self:next()
      local name = self:next()
      if name.kind ~= "name" and name.kind ~= "number" then
        fault.raise(token.line, "a name expected after '.', got %s", describe(name))
      end
      local kind = name.kind == "name" and "attribute" or "item"
      value = { kind = kind, line = token.line, value = value, name = name.value,
                key = kind == "item" and { kind = "constant", value = name.value } or nil }
    elseif token.value == "[" then
      self:next()
      value = self:subscript(value, token.line)
    elseif token.value == "(" then
      self:next()
      local positional, named = self:arguments()
      value = { kind = "call", line = token.line, callee = value, positional = positional, named = named }
    else
      break
    end
  end
  return value
end

-- `| name(arguments)`, as often as it stands there; the first bar is behind us.
function expressions:filter_chain(value)
  repeat
    local name = self:expect "name"
    local node = { kind = "filter", line = name.line, name = name.value, value = value, positional = {}, named = {} }
    if self:accept("operator", "(") then node.positional, node.named = self:arguments() end
    value = node
  until not self:accept("operator", "|")
  return value
end

local STARTS = { name = true, string = true, number = true }

-- May a test's argument stand here without parentheses: `x is divisibleby 3`?
function expressions:at_argument()
  local token = self:peek()
  if token.kind == "operator" then return token.value == "[" or token.value == "{" end
  return STARTS[token.kind] and not (token.kind == "name" and WORDS[token.value])
end

function expressions:test(value, line)
  local negated = self:accept("name", "not") ~= nil
  local name = self:expect "name"
  local node = { kind = "test", line = line, name = name.value, value = value, positional = {}, named = {} }
  if self:accept("operator", "(") then
    node.positional, node.named = self:arguments()
  elseif self:at_argument() then
    node.positional = { self:postfixed() }
  end
  return negated and { kind = "not", line = line, value = node } or node
end

function expressions:filtered(value)
  while true do
    local token = self:peek()
    if token.kind == "operator" and token.value == "|" then
      self:next()
      value = self:filter_chain(value)
    elseif token.kind == "name" and token.value == "is" then
      self:next()
      value = self:test(value, token.line)
    elseif token.kind == "operator" and token.value == "(" then
      self:next()
      local positional, named = self:arguments()
      value = { kind = "call", line = token.line, callee = value, positional = positional, named = named }
    else
      return value
    end
  end
end

-- Strings side by side are one.
function expressions:strings(token)
  local parts = { token.value }
  while self:peek().kind == "string" do parts[#parts + 1] = self:next().value end
  return { kind = "constant", line = token.line, value = table.concat(parts) }
end

-- Items up to the bracket that closes them.
function expressions:items(closer)
  local items = {}
  while not self:accept("operator", closer) do
    items[#items + 1] = self:expression()
    if not self:accept("operator", ",") then
      self:expect("operator", closer)
      break
    end
  end
  return items
end

function expressions:dict(line)
  local node = { kind = "dict", line = line, keys = {}, values = {} }
  while not self:accept("operator", "}") do
    table.insert(node.keys, self:expression())
    self:expect("operator", ":")
    table.insert(node.values, self:expression())
    if not self:accept("operator", ",") then
      self:expect("operator", "}")
      break
    end
  end
  return node
end

function expressions:parenthesis(line)
  if self:accept("operator", ")") then return { kind = "list", line = line, items = {}, tuple = true } end
  local first = self:expression()
  if self:accept("operator", ")") then return first end
  self:expect("operator", ",")
  local items = self:items ")"
  table.insert(items, 1, first)
  return { kind = "list", line = line, items = items, tuple = true }
end

local CONSTANTS = { ["true"] = true, True = true, ["false"] = false, False = false }

function expressions:primary()
  local token = self:next()
  local line = token.line
  if token.kind == "string" then return self:strings(token) end
  if token.kind == "number" then return { kind = "constant", line = line, value = token.value } end
  if token.kind == "name" then
    if CONSTANTS[token.value] ~= nil then return { kind = "constant", line = line, value = CONSTANTS[token.value] } end
    if token.value == "none" or token.value == "None" then return { kind = "none", line = line } end
    if token.value == "loop" then self.uses_loop = true end -- of the loop that is around it
    return { kind = "name", line = line, name = token.value }
  end
  if token.value == "(" then return self:parenthesis(line) end
  if token.value == "[" then return { kind = "list", line = line, items = self:items "]" } end
  if token.value == "{" then return self:dict(line) end
  fault.raise(line, "a value expected, got %s", describe(token))
end

return expressions
