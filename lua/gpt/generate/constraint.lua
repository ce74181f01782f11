-- The option `grammar`: what holds a row of tokens to a grammar.
local core = require "gpt.core"
local matchers = require "gpt.grammar.matchers"
local raise = require "gpt.support.raise"
local tokenizers = require "gpt.generate.tokenizers"

local CONTINUED = { continued = true } -- for decode: the ids follow others

local trees = setmetatable({}, { __mode = "k" }) -- by tokenizer

-- The texts of a tokenizer of the user's own.
local function texts_of(what, tokenizer)
  if not tokenizer.vocab_size then
    raise("%s: grammar: the tokenizer needs vocab_size: the texts of all its ids are looked at", what)
  end
  local texts = {}
  for id = 0, tokenizer.vocab_size - 1 do texts[id + 1] = tokenizer:decode({ id }, CONTINUED) end
  for _, id in ipairs(tokenizers.ends(tokenizer)) do texts[id + 1] = "" end
  return texts
end

local function tree_of(what, tokenizer)
  local tree = trees[tokenizer]
  if not tree then
    tree = core._token_tree(type(tokenizer) == "userdata" and tokenizer or texts_of(what, tokenizer))
    trees[tokenizer] = tree
  end
  return tree
end

local Constraint = {}
Constraint.__index = Constraint

-- ends: the set of ids that stop the row
function Constraint.new(what, grammar, tokenizer, ends)
  local list = {}
  for id in pairs(ends) do list[#list + 1] = id end
  table.sort(list)
  local cursor = core._grammar_cursor(matchers.of(grammar, tree_of(what, tokenizer)), list)
  return setmetatable({ cursor = cursor, tokenizer = tokenizer, waiting = {}, next = 1 }, Constraint)
end

-- Goes on by a token that belongs to the text.
function Constraint:take(id)
  if not self.cursor:take(id) then error(("the grammar does not take the id %d"):format(id)) end
end

-- The ids of a text that follows another one, or none where the tokenizer gives none that are just this text. Some put
-- a blank before what they take for the beginning of a text: they see it behind the end of a line.
local function encode_behind(tokenizer, text)
  local ids = tokenizer:encode(text)
  if tokenizer:decode(ids, CONTINUED) == text then return ids end
  local before = #tokenizer:encode "\n"
  ids = tokenizer:encode("\n" .. text)
  ids = table.move(ids, before + 1, #ids, 1, {})
  return tokenizer:decode(ids, CONTINUED) == text and ids or {}
end

local PROBES = { "a", "A", "0", " ", "\n", '"', ".", "_" } -- what may follow

local function common_length(a, b, most)
  for i = 1, most do
    if a[i] ~= b[i] then return i - 1 end
  end
  return most
end

-- The ids of a text behind which there is more to come: those that are the same whatever follows.
local function encode_open(tokenizer, text)
  local ids = encode_behind(tokenizer, text)
  local n = #ids
  for _, probe in ipairs(PROBES) do
    if n == 0 then break end
    n = common_length(ids, encode_behind(tokenizer, text .. probe), n)
  end
  return table.move(ids, 1, n, 1, {})
end

-- The ids that the tokenizer has for what must follow: these are drawn without asking the model.
local function find_forced(self)
  local text, complete = self.cursor:forced()
  local ids = text == "" and {} or (complete and encode_behind or encode_open)(self.tokenizer, text)
  return #ids > 0 and ids or { self.cursor:only() }
end

-- The next id where there is one way only, or nil; the grammar has taken it.
function Constraint:forced()
  if not self.waiting[self.next] then self.waiting, self.next = find_forced(self), 1 end
  local id = self.waiting[self.next]
  self.next = self.next + 1
  if id and self.cursor:take(id) then return id end
  self.waiting = {}
end

-- Is the text whole?
function Constraint:can_end() return self.cursor:can_end() end

-- Is it whole, and nothing can follow?
function Constraint:complete() return self.cursor:complete() end

return Constraint
