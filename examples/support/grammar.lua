-- A grammar that writes texts, and knows exactly how much chance is in them.
--
-- A rule is a list of options, all equally likely, or a table of such lists by the value of another name. In the text
-- of an option `{name}` stands for what that name was bound to, or, the first time, for an option of the rule `name`;
-- `{name/by}` chooses from the list rules.name[value of by]. An option may be a table { text, key = value, ... },
-- which binds those names as well.
--
-- Every choice leaves its own words in the text, so the entropy of a text is that of its choices: the logarithm of the
-- number of options, added up. What a choice means for later ones is followed through all cases (`measure`), so sums
-- are exact, not sampled.
local grammar = {}
grammar.__index = grammar

--- A grammar from rules; `rules.start` is where texts begin.
function grammar.new(rules)
  return setmetatable({ rules = rules, parsed = {} }, grammar)
end

-- The parts of a text: words in between, and names with the space before them.
local function parse(text)
  local parts, at = {}, 1
  for before, space, name, by, after in text:gmatch "()( ?){([%w_]+)/?([%w_]*)}()" do
    if before > at then parts[#parts + 1] = text:sub(at, before - 1) end
    parts[#parts + 1] = { space = space, name = name, by = by ~= "" and by or nil }
    at = after
  end
  if at <= #text then parts[#parts + 1] = text:sub(at) end
  return parts
end

function grammar:parts(text)
  local parts = self.parsed[text] or parse(text)
  self.parsed[text] = parts
  return parts
end

-- The options that a name has, given what is bound.
function grammar:options(part, bound)
  local rule = self.rules[part.name] or error("the grammar has no rule " .. part.name)
  if not part.by then return rule end
  return rule[bound[part.by]] or error(("rule %s has nothing for %s"):format(part.name, tostring(bound[part.by])))
end

-- splitmix64: numbers that follow from the seed alone.
local function generator(seed)
  local state = seed
  return function(n)
    state = state + 0x9e3779b97f4a7c15
    local z = state
    z = (z ~ z >> 30) * 0xbf58476d1ce4e5b9
    z = (z ~ z >> 27) * 0x94d049bb133111eb
    return ((z ~ z >> 31) >> 1) % n + 1
  end
end

function grammar:expand(text, bound, choose)
  local out = {}
  for _, part in ipairs(self:parts(text)) do
    if type(part) == "string" then
      out[#out + 1] = part
    else
      local said = bound[part.name]
      if not said then
        local options = self:options(part, bound)
        local option = options[choose(#options)]
        if type(option) == "table" then
          for key, value in pairs(option) do
            if type(key) == "string" then bound[key] = value end
          end
          option = option[1]
        end
        said = self:expand(option, bound, choose)
        bound[part.name] = said
      end
      out[#out + 1] = part.space .. said
    end
  end
  return table.concat(out)
end

--- A function that returns a new text at every call; the same seed, the same texts.
function grammar:writer(seed)
  local choose = generator(seed)
  return function()
    return self:expand("{start}", {}, choose)
  end
end

-- A case: how likely it is, and what is bound to what: a text, or, where that makes no difference to any later choice,
-- the list of the texts that it may be.
local function key_of(case)
  local names = {}
  for name, value in pairs(case.bound) do names[#names + 1] = name .. "=" .. tostring(value) end
  table.sort(names)
  return table.concat(names, ";")
end

local function merge(cases)
  local merged, by_key = {}, {}
  for _, case in ipairs(cases) do
    local key = key_of(case)
    if by_key[key] then
      by_key[key].p = by_key[key].p + case.p
    else
      merged[#merged + 1], by_key[key] = case, case
    end
  end
  return merged
end

local function is_plain(options)
  for _, option in ipairs(options) do
    if type(option) ~= "string" or option:find "{" then return false end
  end
  return true
end

local function with(case, p, name, value)
  local bound = {}
  for key, each in pairs(case.bound) do bound[key] = each end
  if name then bound[name] = value end
  return { p = p, bound = bound }
end

local Measure = {}
Measure.__index = Measure

-- Words of a fixed text, or the mean over a list.
function Measure:add_said(p, space, said)
  local total, list = 0, type(said) == "table" and said or { said }
  for _, text in ipairs(list) do total = total + self.size(space .. text) end
  self.total_size = self.total_size + p * total / #list
end

-- One option of those that bind names or are made of others. A name stands for its whole text where it comes again,
-- and only plain ones may.
function Measure:follow(case, part, option, share, into)
  local inner = with(case, case.p * share, part.name, "(said)")
  if type(option) == "table" then
    for key, value in pairs(option) do
      if type(key) == "string" then inner.bound[key] = value end
    end
    option = option[1]
  end
  for _, after in ipairs(self:walk({ inner }, part.space .. option)) do into[#into + 1] = after end
end

function Measure:choose(case, part, into)
  local options = self.grammar:options(part, case.bound)
  self.bits = self.bits + case.p * math.log(#options, 2)
  if is_plain(options) then
    self:add_said(case.p, part.space, options)
    into[#into + 1] = with(case, case.p, part.name, options)
    return
  end
  for _, option in ipairs(options) do self:follow(case, part, option, 1 / #options, into) end
end

-- Takes all cases through a text.
function Measure:walk(cases, text)
  for _, part in ipairs(self.grammar:parts(text)) do
    if type(part) == "string" then
      for _, case in ipairs(cases) do self:add_said(case.p, "", part) end
    else
      local into = {}
      for _, case in ipairs(cases) do
        local said = case.bound[part.name]
        if said then
          if said == "(said)" then error(part.name .. " is made of other names, and comes again") end
          self:add_said(case.p, part.space, said)
          into[#into + 1] = case
        else
          self:choose(case, part, into)
        end
      end
      cases = merge(into)
    end
  end
  return cases
end

--- The entropy of a text in bits, and its mean size.
-- @func[opt] size of a piece of text (its bytes): pieces begin where words do, so tokens may be counted
function grammar:measure(size)
  local known = {}
  local function remembered(text)
    known[text] = known[text] or (size and size(text) or #text)
    return known[text]
  end
  local measure = setmetatable({ grammar = self, size = remembered, bits = 0, total_size = 0 }, Measure)
  measure:walk({ { p = 1, bound = {} } }, "{start}")
  return measure.bits, measure.total_size
end

return grammar
