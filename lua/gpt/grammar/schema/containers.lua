-- JSON's objects and arrays: graphs from their opening to their closing.
local json = require "gpt.support.json"
local members = require "gpt.grammar.schema.members"
local nodes = require "gpt.grammar.nodes"
local strings = require "gpt.grammar.schema.strings"

local containers = {}

local sequence, text = nodes.sequence, nodes.text

-- Between two brackets, with room for white space where the style has it.
local function enclosed(compiler, open, node, close)
  local blank = compiler:blank()
  return sequence { text(open), blank, node, blank, text(close) }
end

local function comma(compiler)
  local blank = compiler:blank()
  return sequence { blank, text(compiler.context.style.comma), blank }
end

local function member(compiler, key, value)
  local blank = compiler:blank()
  return sequence { key, blank, text(compiler.context.style.colon), blank, value }
end

-- Members of other names: a node for one, or nil.
local function other_member(compiler, flat)
  local others = members.others(compiler.context, flat)
  local value = others and compiler:node(others, flat.path .. "/additionalProperties")
  if not value or value.kind == "never" then return nil end
  local key = strings.other_key(flat.order, compiler:key_rest(), compiler:unusual())
  return compiler:shared(member(compiler, key, value), flat.path .. "/additionalProperties")
end

-- The members by name in their order: { node, required }; or nodes.never.
local function named_members(compiler, flat)
  local list = {}
  for _, name in ipairs(flat.order) do
    local path = compiler.context.below(flat.path, "properties", name)
    local value = compiler:node(members.named(compiler.context, flat, name), path)
    if value.kind == "never" then
      if flat.required[name] then return value end
    else
      local node = compiler:shared(member(compiler, text(json.quote(name)), value), path)
      list[#list + 1] = { node = node, required = flat.required[name] }
    end
  end
  return list
end

-- How many members of other names there may be behind those by name; raises where a bound cannot be kept.
local function other_bounds(compiler, flat, list, other)
  local range, required = flat.members or {}, 0
  for _, each in ipairs(list) do required = required + (each.required and 1 or 0) end
  if range.most and range.most < required then return nil end
  local low, high = range.least or 0, range.most
  if #list == 0 and other and low <= 1 then return low, high end
  if low > required then
    compiler.context:fail(flat.path, "minProperties of more than are required cannot be enforced")
  end
  if high and (other or high < #list) then
    compiler.context:fail(flat.path, "maxProperties cannot be enforced beside optional properties")
  end
  return 0, nil
end

-- Any number of them within bounds, with commas between them.
local function repeated(compiler, node, least, most)
  if most == 0 then return nodes.nothing end
  local more = sequence { comma(compiler), node }
  local all = sequence { node, nodes.times(more, math.max(least - 1, 0), most and most - 1) }
  return least == 0 and nodes.optional(all) or all
end

-- States: 2 i - 1 before member i where no member came yet, 2 i where one did; then the end.
local function chain(compiler, list, other)
  local n = #list
  local last, edges, fresh = 2 * n + 3, {}, true
  local function edge(from, to, node) edges[#edges + 1] = { from, to, node } end
  local separator = comma(compiler)
  for i, each in ipairs(list) do
    if fresh then edge(2 * i - 1, 2 * i + 2, each.node) end
    if i > 1 then edge(2 * i, 2 * i + 2, sequence { separator, each.node }) end
    if not each.required then
      if fresh then edge(2 * i - 1, 2 * i + 1, nodes.nothing) end
      if i > 1 then edge(2 * i, 2 * i + 2, nodes.nothing) end
    end
    fresh = fresh and not each.required
  end
  if fresh then edge(2 * n + 1, last, other and repeated(compiler, other, 0) or nodes.nothing) end
  if n > 0 then edge(2 * n + 2, last, other and nodes.times(sequence { separator, other }, 0) or nodes.nothing) end
  return { kind = "graph", states = last, edges = edges }
end

function containers.object(compiler, flat)
  local list = named_members(compiler, flat)
  if list.kind == "never" then return list end
  local other = other_member(compiler, flat)
  local least, most = other_bounds(compiler, flat, list, other)
  if not least then return nodes.never(flat.path .. ": maxProperties is less than what is required") end
  local inner = #list == 0 and other and repeated(compiler, other, least, most) or chain(compiler, list, other)
  return enclosed(compiler, "{", inner, "}")
end

-- The items with a schema of their own, and the most items there may be.
local function leading_items(compiler, flat, most)
  local count, list = 0, {}
  for _, part in ipairs(flat.lists) do count = math.max(count, #part.prefix) end
  for i = 1, math.min(count, most) do
    local path = compiler.context.below(flat.path, "prefixItems", i - 1)
    local node = compiler:node(members.item(compiler.context, flat, i), path)
    if node.kind == "never" then return list, i - 1 end
    list[i] = node
  end
  return list, most
end

-- Without a schema for items, none are made but those that have to be there, unless all is open.
local function wanted_items(flat, leading, least, most)
  if leading == 0 then return most end
  for _, part in ipairs(flat.lists) do
    if part.items ~= nil then return most end
  end
  return math.min(most, math.max(leading, least))
end

local function items_graph(compiler, leading, rest, least, most)
  local n = #leading
  local last, edges = n + 2, {}
  for i, node in ipairs(leading) do
    if i > least then edges[#edges + 1] = { i, last, nodes.nothing } end
    edges[#edges + 1] = { i, i + 1, i == 1 and node or sequence { comma(compiler), node } }
  end
  local limit = most < math.huge and most - n or nil
  local node = nodes.nothing
  if rest and n == 0 then node = repeated(compiler, rest, least, limit)
  elseif rest then node = nodes.times(sequence { comma(compiler), rest }, math.max(least - n, 0), limit) end
  edges[#edges + 1] = { n + 1, last, node }
  return { kind = "graph", states = last, edges = edges }
end

function containers.array(compiler, flat)
  local range = flat.count or {}
  local least, most = range.least or 0, range.most or math.huge
  local leading
  leading, most = leading_items(compiler, flat, most)
  most = wanted_items(flat, #leading, least, most)
  local rest = most > #leading and compiler:node(members.item(compiler.context, flat), flat.path .. "/items") or nil
  if not rest or rest.kind == "never" then rest, most = nil, math.min(most, #leading) end
  if least > most then return nodes.never(flat.path .. ": no array has enough items") end
  if flat.unique and most > 1 then compiler.context:fail(flat.unique, "uniqueItems cannot be enforced") end
  return enclosed(compiler, "[", items_graph(compiler, leading, rest, least, most), "]")
end

return containers
