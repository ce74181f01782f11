-- A text as UTF-8: U+FFFD stands for each character that was cut short, and for each byte that belongs to none, as
-- Unicode recommends and browsers and Python do it.
local REPLACEMENT = "\u{FFFD}"

-- What may begin a character of so many bytes and not end it; the longest first.
local BEGINNINGS = {
  "^[\xF1-\xF3][\x80-\xBF][\x80-\xBF]", "^\xF0[\x90-\xBF][\x80-\xBF]", "^\xF4[\x80-\x8F][\x80-\xBF]",
  "^[\xF1-\xF3][\x80-\xBF]", "^\xF0[\x90-\xBF]", "^\xF4[\x80-\x8F]",
  "^[\xE1-\xEC\xEE\xEF][\x80-\xBF]", "^\xE0[\xA0-\xBF]", "^\xED[\x80-\x9F]",
}

local function end_of_bad(bytes, at)
  for _, beginning in ipairs(BEGINNINGS) do
    local _, last = bytes:find(beginning, at)
    if last then return last end
  end
  return at
end

return function(bytes)
  local parts, at = {}, 1
  while true do
    local good, bad = utf8.len(bytes, at)
    if good then break end
    parts[#parts + 1] = bytes:sub(at, bad - 1)
    parts[#parts + 1] = REPLACEMENT
    at = end_of_bad(bytes, bad) + 1
  end
  parts[#parts + 1] = bytes:sub(at)
  return table.concat(parts)
end
