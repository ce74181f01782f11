-- What was found out about grammars over vocabularies (core's matchers): shared by the conversations under a grammar,
-- and kept as long as it.
local core = require "gpt.core"

local matchers = {}

local weak = { __mode = "k" }
local known = setmetatable({}, weak) -- by grammar, then by tree

-- The matcher of a grammar over a tree of tokens.
function matchers.of(grammar, tree)
  local of_grammar = known[grammar]
  if not of_grammar then
    of_grammar = setmetatable({}, weak)
    known[grammar] = of_grammar
  end
  of_grammar[tree] = of_grammar[tree] or core._grammar_matcher(grammar, tree)
  return of_grammar[tree]
end

-- The bytes of a grammar and of its matchers.
function matchers.bytes(grammar)
  local bytes = core._grammar_bytes(grammar)
  for _, matcher in pairs(known[grammar] or {}) do bytes = bytes + core._matcher_bytes(matcher) end
  return bytes
end

return matchers
