-- The filter tojson: a value as JSON, spaced as Python's json.dumps does it; strings keep their characters.
local bounds = require "gpt.jinja.bounds"
local fault = require "gpt.jinja.fault"
local operators = require "gpt.jinja.operators"
local values = require "gpt.jinja.values"

local WIDEST = 1000 -- indent
local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\b"] = "\\b", ["\f"] = "\\f",
}

local function quoted(text)
  return '"' .. bounds.replaced(text, '[%z\1-\31"\\]', function(c)
    return ESCAPES[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local write

-- n items, make(i) each, between brackets, on lines of their own where there is an indent.
local function block(open, close, n, make, style, depth)
  if n == 0 then return open .. close end
  if not style.indent then return open .. bounds.join(n, make, style.item) .. close end
  bounds.text(2 * #style.indent * depth)
  local inner, outer = "\n" .. style.indent:rep(depth), "\n" .. style.indent:rep(depth - 1)
  return open .. inner .. bounds.join(n, make, style.item_at_end .. inner) .. outer .. close
end

local function key_text(key)
  local kind = values.kind(key)
  if kind == "string" then return key end
  return kind == "number" and values.number_text(key) or kind == "none" and "null" or tostring(key)
end

local function write_dict(dict, style, depth)
  bounds.list(#dict.keys)
  local keys = table.move(dict.keys, 1, #dict.keys, 1, {})
  if style.sorted then table.sort(keys, function(a, b) return operators.less(key_text(a), key_text(b)) end) end
  return block("{", "}", #keys, function(i)
    return quoted(key_text(keys[i])) .. style.key .. write(values.get(dict, keys[i]), style, depth + 1)
  end, style, depth)
end

local function write_list(list, style, depth)
  return block("[", "]", #list, function(i) return write(list[i], style, depth + 1) end, style, depth)
end

function write(value, style, depth)
  local kind = values.kind(value)
  bounds.step()
  if kind == "string" then return quoted(value) end
  if kind == "number" then return values.number_text(value) end
  if kind == "boolean" then return tostring(value) end
  if kind == "none" then return "null" end
  if kind == "list" then return write_list(value, style, depth) end
  if kind == "dict" then return write_dict(value, style, depth) end
  fault.raise(nil, "tojson: a value that is %s is no JSON", kind)
end

--- options: indent (a number or string), separators ({ item, key }), sort_keys
return function(value, options)
  local indent, separators = options.indent, options.separators
  local style = { item = ", ", key = ": ", sorted = values.truth(options.sort_keys or false) }
  if type(indent) == "number" then style.indent = (" "):rep(math.min(indent, WIDEST)) end
  if type(indent) == "string" then style.indent = indent end
  if separators and values.kind(separators) == "list" then style.item, style.key = separators[1], separators[2] end
  style.item_at_end = style.indent and style.item:gsub(" $", "")
  return write(value, style, 1)
end
