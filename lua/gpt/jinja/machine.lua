-- Runs a template's tree. Steps, depth, output and memory are bounded, so that a template from a stranger's file ends;
-- the only functions it can call are those of this folder.
local bounds = require "gpt.jinja.bounds"
local fault = require "gpt.jinja.fault"
local filters = require "gpt.jinja.filters"
local methods = require "gpt.jinja.methods"
local operators = require "gpt.jinja.operators"
local tests = require "gpt.jinja.tests"
local values = require "gpt.jinja.values"

local DEEPEST = 50 -- calls inside each other

local Machine = {}
Machine.__index = Machine

local expressions, statements = {}, {}

-- The value of an expression in a scope; scopes are tables whose __index is the scope around them.
function Machine:value(node, scope)
  bounds.step(1, node.line)
  local value = expressions[node.kind](self, node, scope)
  if type(value) == "string" then bounds.bytes(#value, node.line) end
  return value
end

function Machine:positional(nodes, scope)
  local list = {}
  for i, node in ipairs(nodes) do list[i] = self:value(node, scope) end
  return list
end

function Machine:named(nodes, scope)
  local list = {}
  for _, argument in ipairs(nodes) do list[argument.name] = self:value(argument.value, scope) end
  return list
end

-- What is called may read the first of its arguments; none takes more.
function Machine.read_arguments(positional)
  for i = 1, math.min(#positional, 3) do bounds.work(positional[i]) end
end

--- The filter of that name, also for `map`.
function Machine:filter(name, value, positional, named)
  local filter = filters[name]
  if not filter then fault.raise(nil, "the filter '%s' is not supported", tostring(name)) end
  bounds.work(value)
  self.read_arguments(positional)
  local result = filter(value, positional, named, self)
  if type(result) == "string" then bounds.text(#result) end
  return result
end

--- A test's outcome, also for `select`.
function Machine:test(name, value, positional)
  local test = tests[name]
  if name == "filter" then return filters[positional[1] or value] ~= nil end
  if name == "test" then return tests[positional[1] or value] ~= nil end
  if not test then fault.raise(nil, "the test '%s' is not supported", tostring(name)) end
  bounds.step()
  bounds.work(value)
  self.read_arguments(positional)
  return test(value, positional[1])
end

function expressions.constant(_, node) return node.value end

function expressions.none() return values.none end

function expressions.captured(self) return self.captured end

function expressions.name(_, node, scope)
  local value = scope[node.name]
  if value == nil then return values.undefined(node.name) end
  return value
end

function expressions.list(self, node, scope)
  bounds.list(#node.items, node.line)
  return values.list(self:positional(node.items, scope), node.tuple)
end

function expressions.dict(self, node, scope)
  local dict = values.dict()
  bounds.list(4 + 2 * #node.keys, node.line)
  for i, key in ipairs(node.keys) do
    fault.at(node.line, "a dict", values.set, dict, self:value(key, scope), self:value(node.values[i], scope))
  end
  return dict
end

function expressions.choice(self, node, scope)
  if values.truth(self:value(node.test, scope)) then return self:value(node.yes, scope) end
  if node.no then return self:value(node.no, scope) end
  return values.undefined ""
end

expressions["or"] = function(self, node, scope)
  local left = self:value(node.left, scope)
  if values.truth(left) then return left end
  return self:value(node.right, scope)
end

expressions["and"] = function(self, node, scope)
  local left = self:value(node.left, scope)
  if not values.truth(left) then return left end
  return self:value(node.right, scope)
end

expressions["not"] = function(self, node, scope) return not values.truth(self:value(node.value, scope)) end

function expressions.binary(self, node, scope)
  local left, right = self:value(node.left, scope), self:value(node.right, scope)
  return fault.at(node.line, node.operator, operators.binary, node.operator, left, right)
end

function expressions.sign(self, node, scope)
  return fault.at(node.line, node.operator, operators.sign, node.operator, self:value(node.value, scope))
end

-- a < b < c compares the neighbours.
function expressions.compare(self, node, scope)
  local left = self:value(node.first, scope)
  for _, link in ipairs(node.rest) do
    local right = self:value(link.value, scope)
    if not fault.at(node.line, link.operator, operators.compare, link.operator, left, right) then return false end
    left = right
  end
  return true
end

local function check_defined(value, node, name)
  if values.kind(value) ~= "undefined" then return end
  fault.raise(node.line, "'%s' is undefined; it has no '%s'", value.name, tostring(name))
end

function expressions.attribute(self, node, scope)
  local value = self:value(node.value, scope)
  check_defined(value, node, node.name)
  local found = fault.at(node.line, "a method", methods.find, value, node.name)
  if found == nil then found = operators.item(value, node.name) end
  if found == nil then return values.undefined(node.name) end
  return found
end

function expressions.item(self, node, scope)
  local value, key = self:value(node.value, scope), self:value(node.key, scope)
  if values.kind(value) == "undefined" then check_defined(value, node, values.text(key)) end
  bounds.work(key, node.line)
  local found = operators.item(value, key)
  if found == nil and type(key) == "string" then found = fault.at(node.line, "a method", methods.find, value, key) end
  if found == nil then return values.undefined(values.text(key)) end
  return found
end

function expressions.slice(self, node, scope)
  local function bound(part)
    local value = part and self:value(part, scope)
    return value ~= values.none and math.tointeger(value) or nil
  end
  local whole = self:value(node.value, scope)
  return fault.at(node.line, "a slice", operators.slice, whole, bound(node.first), bound(node.last),
    bound(node.step))
end

function expressions.filter(self, node, scope)
  local value = self:value(node.value, scope)
  local positional, named = self:positional(node.positional, scope), self:named(node.named, scope)
  return fault.at(node.line, "the filter " .. node.name, self.filter, self, node.name, value, positional, named)
end

function expressions.test(self, node, scope)
  local value = self:value(node.value, scope)
  local positional = self:positional(node.positional, scope)
  return fault.at(node.line, "the test " .. node.name, self.test, self, node.name, value, positional)
end

function Machine:call(node, callee, positional, named)
  if values.kind(callee) ~= "callable" then
    local name = values.kind(callee) == "undefined" and callee.name
    fault.raise(node.line, "%s is nothing to call", name and ("'%s'"):format(name) or "this")
  end
  self.depth = self.depth + 1
  if self.depth > DEEPEST then fault.raise(node.line, "calls are nested more than %d deep", DEEPEST) end
  local result = fault.at(node.line, callee.name, callee.fn, positional, named, self)
  self.depth = self.depth - 1
  if result == nil then return values.none end
  if type(result) == "string" then bounds.text(#result, node.line) end
  return result
end

function expressions.call(self, node, scope)
  local callee = self:value(node.callee, scope)
  return self:call(node, callee, self:positional(node.positional, scope), self:named(node.named, scope))
end

function Machine:write(text, line)
  self.written = self.written + #text
  bounds.bytes(self.written, line)
  self.output[#self.output + 1] = text
end

-- Runs statements; returns "break" or "continue" where one of them leaves a loop.
function Machine:run(body, scope)
  for _, node in ipairs(body) do
    bounds.step(1, node.line)
    local leave = statements[node.kind](self, node, scope)
    if leave then return leave end
  end
end

-- What statements would print, as text.
function Machine:capture(body, scope)
  local outer = self.output
  self.output = {}
  self:run(body, scope)
  local text = table.concat(self.output) -- its bytes are counted as they are written
  self.output = outer
  return text
end

local function inside(scope)
  bounds.list(4)
  return setmetatable({}, { __index = scope })
end

function statements.data(self, node) self:write(node.text, node.line) end

function statements.print(self, node, scope)
  self:write(fault.at(node.line, "{{ }}", values.text, self:value(node.value, scope)), node.line)
end

statements["do"] = function(self, node, scope) self:value(node.value, scope) end

function statements.group(self, node, scope) return self:run(node.body, scope) end

function statements.leave(_, node) return node.how end

statements["if"] = function(self, node, scope)
  for _, branch in ipairs(node.branches) do
    if values.truth(self:value(branch.test, scope)) then return self:run(branch.body, scope) end
  end
  if node.otherwise then return self:run(node.otherwise, scope) end
end

-- Gives one value to one name, or the items of a list to several.
local function assign(scope, names, value, line)
  if #names == 1 then
    scope[names[1]] = value
    return
  end
  local items = fault.at(line, "for", values.each, value)
  if #items ~= #names then fault.raise(line, "%d values for %d names", #items, #names) end
  for i, name in ipairs(names) do scope[name] = items[i] end
end

-- The items that a loop's own condition keeps.
local function chosen(self, node, scope, items)
  if not node.condition then return items end
  local kept = {}
  for _, item in ipairs(items) do
    local round = inside(scope)
    bounds.step(1, node.line)
    assign(round, node.targets, item, node.line)
    if values.truth(self:value(node.condition, round)) then kept[#kept + 1] = item end
  end
  bounds.list(#kept, node.line)
  return kept
end

local LOOP = 48 -- entries in all its tables, about

-- The variable `loop`.
local function loop_of(items, i, state)
  bounds.list(LOOP)
  local loop, n = values.dict(), #items
  local fields = {
    index = i, index0 = i - 1, revindex = n - i + 1, revindex0 = n - i, first = i == 1, last = i == n, length = n,
    depth = 1, depth0 = 0, previtem = items[i - 1], nextitem = items[i + 1],
  }
  for name, value in pairs(fields) do values.set(loop, name, value) end
  values.set(loop, "cycle", values.callable("cycle", function(given) return given[(i - 1) % #given + 1] end))
  values.set(loop, "changed", values.callable("changed", function(given)
    local now = values.list(given)
    local same = state.last and values.equal(state.last, now)
    state.last = now
    return not same
  end))
  return loop
end

statements["for"] = function(self, node, scope)
  if node.recursive then fault.raise(node.line, "a recursive loop is not supported") end
  local items = chosen(self, node, scope, fault.at(node.line, "for", values.each, self:value(node.list, scope)))
  local state = {}
  for i, item in ipairs(items) do
    local round = inside(scope)
    bounds.step(1, node.line)
    assign(round, node.targets, item, node.line)
    if node.uses_loop then round.loop = loop_of(items, i, state) end
    if self:run(node.body, round) == "break" then break end
  end
  if #items == 0 and node.otherwise then return self:run(node.otherwise, inside(scope)) end
end

local function set_field(node, scope, value)
  local space = scope[node.targets[1]]
  if values.kind(space) ~= "namespace" then
    fault.raise(node.line, "set %s.%s: only a namespace() has fields to set", node.targets[1], node.field)
  end
  values.set(space, node.field, value)
end

statements["set"] = function(self, node, scope)
  local value
  if node.value then
    value = self:value(node.value, scope)
  else
    value = self:capture(node.body, inside(scope))
    if node.filter then value = self:filtered_text(node.filter, value, scope) end
  end
  if node.field then return set_field(node, scope, value) end
  assign(scope, node.targets, value, node.line)
end

-- Text through the filters that stand at a block.
function Machine:filtered_text(filter, text, scope)
  local outer = self.captured
  self.captured = text
  local value = self:value(filter, scope)
  self.captured = outer
  return value
end

function statements.filter_block(self, node, scope)
  local text = self:capture(node.body, inside(scope))
  self:write(values.text(self:filtered_text(node.filter, text, scope)), node.line)
end

statements["with"] = function(self, node, scope)
  local round = inside(scope)
  for i, name in ipairs(node.names) do round[name] = self:value(node.values[i], scope) end
  return self:run(node.body, round)
end

local function macro_of(name, node, scope)
  bounds.list(4)
  return values.callable(name, function(positional, named, machine)
    local round = inside(scope)
    bounds.step(#node.parameters >> 2)
    if #positional > #node.parameters then
      fault.raise(nil, "%s takes %d arguments, got %d", name, #node.parameters, #positional)
    end
    for i, parameter in ipairs(node.parameters) do
      local value = positional[i]
      if value == nil then value = named[parameter.name] end
      if value == nil and parameter.default then value = machine:value(parameter.default, round) end
      round[parameter.name] = value == nil and values.undefined(parameter.name) or value
    end
    round.caller = named.caller
    return machine:capture(node.body, round)
  end)
end

function statements.macro(_, node, scope) scope[node.name] = macro_of(node.name, node, scope) end

function statements.call_block(self, node, scope)
  local callee = self:value(node.call.callee, scope)
  local named = self:named(node.call.named, scope)
  named.caller = macro_of("caller", node, scope)
  self:write(values.text(self:call(node, callee, self:positional(node.call.positional, scope), named)), node.line)
end

--- Runs a tree with a table of values by name; returns the text.
return function(tree, globals)
  local machine = setmetatable({ depth = 0, written = 0, output = {} }, Machine)
  bounds.start()
  machine:run(tree, inside(globals))
  return table.concat(machine.output)
end
