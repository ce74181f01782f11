-- Tokens as a tree. A node is a table { kind, line, ... }; evaluate.lua says what each kind means.
local expressions = require "gpt.jinja.expressions"
local fault = require "gpt.jinja.fault"

local Parser = setmetatable({}, { __index = expressions })
Parser.__index = Parser

local statements = {}

-- The statements up to a block that begins with one of the names of `stop`, which is left for the caller.
function Parser:body(stop, what)
  local list, first = {}, self:peek(-1) and self:peek(-1).line
  self:deeper()
  while true do
    local token = self:next()
    if token.kind == "data" then
      list[#list + 1] = { kind = "data", line = token.line, text = token.value }
    elseif token.kind == "print" then
      list[#list + 1] = { kind = "print", line = token.line, value = self:expression() }
      self:expect "end"
    elseif token.kind == "block" then
      local name = self:peek().value
      if stop and stop[name] then break end
      list[#list + 1] = self:statement()
    elseif stop then
      fault.raise(first, "'%s' has no end", what)
    else
      break
    end
  end
  self:shallower()
  return list
end

function Parser:statement()
  local token = self:expect "name"
  local parse = statements[token.value]
  if not parse then fault.raise(token.line, "the statement '%s' is not supported", token.value) end
  local node = parse(self, token.line)
  node.line = token.line
  return node
end

-- The end of a block, `{% endfor %}`, whose mark and name come next.
function Parser:close(name)
  self:expect("name", name)
  self:expect "end"
end

local IF_STOPS = { ["elif"] = true, ["else"] = true, ["endif"] = true }

statements["if"] = function(self)
  local node = { kind = "if", branches = {} }
  repeat
    local test = self:expression()
    self:expect "end"
    table.insert(node.branches, { test = test, body = self:body(IF_STOPS, "if") })
    local name = self:expect("name").value
    if name == "else" then
      self:expect "end"
      node.otherwise = self:body({ ["endif"] = true }, "if")
      self:expect("name", "endif")
    end
  until name ~= "elif"
  self:expect "end"
  return node
end

-- One name or several: `for key, value in`.
function Parser:targets()
  local names, parenthesis = {}, self:accept("operator", "(")
  repeat
    names[#names + 1] = self:expect("name").value
  until not self:accept("operator", ",")
  if parenthesis then self:expect("operator", ")") end
  return names
end

statements["for"] = function(self)
  local node = { kind = "for", targets = self:targets() }
  self:expect("name", "in")
  node.list = self:disjunction() -- an `if` behind it belongs to the loop
  if self:accept("name", "if") then node.condition = self:expression() end
  if self:accept("name", "recursive") then node.recursive = true end
  self:expect "end"
  local outside = self.uses_loop
  self.uses_loop = false
  node.body = self:body({ ["endfor"] = true, ["else"] = true }, "for")
  node.uses_loop, self.uses_loop = self.uses_loop, self.uses_loop or outside
  if self:accept("name", "else") then
    self:expect "end"
    node.otherwise = self:body({ ["endfor"] = true }, "for")
  end
  self:close "endfor"
  return node
end

-- `set a = ...`, `set a, b = ...`, `set space.field = ...`, and `set a %} ... {% endset %}`.
statements["set"] = function(self)
  local node = { kind = "set", targets = self:targets() }
  if #node.targets == 1 and self:accept("operator", ".") then node.field = self:expect("name").value end
  if self:accept("operator", "=") then
    node.value = self:tuple()
    self:expect "end"
    return node
  end
  if self:accept("operator", "|") then node.filter = self:filter_chain { kind = "captured" } end
  self:expect "end"
  node.body = self:body({ ["endset"] = true }, "set")
  self:close "endset"
  return node
end

function Parser:parameters()
  local list = {}
  self:expect("operator", "(")
  while not self:accept("operator", ")") do
    local parameter = { name = self:expect("name").value }
    if self:accept("operator", "=") then parameter.default = self:expression() end
    list[#list + 1] = parameter
    if not self:accept("operator", ",") then
      self:expect("operator", ")")
      break
    end
  end
  return list
end

statements["macro"] = function(self)
  local node = { kind = "macro", name = self:expect("name").value, parameters = self:parameters() }
  self:expect "end"
  node.body = self:body({ ["endmacro"] = true }, "macro")
  self:expect("name", "endmacro")
  self:accept "name" -- the macro's name may stand again
  self:expect "end"
  return node
end

statements["call"] = function(self)
  local node = { kind = "call_block", parameters = {} }
  if self:peek().value == "(" then node.parameters = self:parameters() end
  node.call = self:expression()
  if node.call.kind ~= "call" then fault.raise(node.call.line, "'call' needs a call of a macro") end
  self:expect "end"
  node.body = self:body({ ["endcall"] = true }, "call")
  self:close "endcall"
  return node
end

statements["filter"] = function(self)
  local node = { kind = "filter_block", filter = self:filter_chain { kind = "captured" } }
  self:expect "end"
  node.body = self:body({ ["endfilter"] = true }, "filter")
  self:close "endfilter"
  return node
end

statements["with"] = function(self)
  local node = { kind = "with", names = {}, values = {} }
  while self:peek().kind == "name" do
    table.insert(node.names, self:next().value)
    self:expect("operator", "=")
    table.insert(node.values, self:expression())
    if not self:accept("operator", ",") then break end
  end
  self:expect "end"
  node.body = self:body({ ["endwith"] = true }, "with")
  self:close "endwith"
  return node
end

statements["do"] = function(self)
  local node = { kind = "do", value = self:expression() }
  self:expect "end"
  return node
end

-- What trainers mark as the assistant's own text: it only stands for its body here.
statements["generation"] = function(self)
  self:expect "end"
  local node = { kind = "group", body = self:body({ ["endgeneration"] = true }, "generation") }
  self:close "endgeneration"
  return node
end

statements["break"] = function(self)
  self:expect "end"
  return { kind = "leave", how = "break" }
end

statements["continue"] = function(self)
  self:expect "end"
  return { kind = "leave", how = "continue" }
end

--- The tree of a template's tokens: a list of statements.
return function(tokens)
  local parser = setmetatable({ tokens = tokens, at = 1, depth = 0 }, Parser)
  return parser:body()
end
