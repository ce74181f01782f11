-- Classes of characters that regular expressions name.
local nodes = require "gpt.grammar.nodes"

local classes = {}

local blanks = { { 9, 13 }, { 32, 32 } }
local digits = { { 48, 57 } }
local letters = { { 48, 57 }, { 65, 90 }, { 95, 95 }, { 97, 122 } }
-- All of Unicode's white space, so that \S is none by anybody's word; with what Python adds, and the byte order mark.
local all_blanks = { { 9, 13 }, { 28, 32 }, { 0x85, 0x85 }, { 0xA0, 0xA0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200A },
  { 0x2028, 0x2029 }, { 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 }, { 0xFEFF, 0xFEFF } }

-- By the letter behind the backslash. \d, \w and \s are ASCII's; \D and \W are all that these are not (ECMA 262).
classes.escapes = {
  d = digits, w = letters, s = blanks,
  D = nodes.others(digits), W = nodes.others(letters), S = nodes.others(all_blanks),
}

-- What . is: no end of a line.
classes.any = nodes.others { { 10, 10 }, { 13, 13 }, { 0x2028, 0x2029 } }

return classes
