-- The types of the Lua language server: what the comments' types are called there, and what LDoc's cannot say.
local server_types = {}

local PLAIN = { integer = true, number = true, string = true, boolean = true, table = true, ["function"] = true,
  ["nil"] = true, any = true }

-- {integer,...} -> integer[]; Tensor|number -> gpt.Tensor|number; ?Tensor -> gpt.Tensor|nil
function server_types.convert(kind)
  if not kind then return "any" end
  if kind:find("^%?") then return server_types.convert(kind:sub(2)) .. "|nil" end
  if kind:find("^%b{}$") then
    local inner = server_types.convert(kind:sub(2, -2):gsub(",%s*%.%.%.$", ""))
    return inner:find("|") and ("(%s)[]"):format(inner) or inner .. "[]"
  end
  local words, depth, word = {}, 0, ""
  for c in (kind .. "|"):gmatch(".") do
    depth = depth + (c == "{" and 1 or c == "}" and -1 or 0)
    if c == "|" and depth == 0 then
      table.insert(words, PLAIN[word] and word or word:find("^{") and server_types.convert(word) or "gpt." .. word)
      word = ""
    else
      word = word .. c
    end
  end
  return table.concat(words, "|")
end

--- The type of a field or a result. Where it may be one thing or another, or nil, it is any too: so the server knows
-- the fields, but asks for no check of what the caller knows.
function server_types.given(kind)
  local converted = server_types.convert(kind)
  return converted:find("|") and converted:gsub("|nil$", "") .. "|any" or converted
end

--- What LDoc's types cannot say: what iterators and functions that are made return, or a result that follows from the
-- arguments.
server_types.answers = {
  ["Layer:parameters"] = { "fun(): string, gpt.Tensor" },
  ["Layer:children"] = { "fun(): string, gpt.Layer" },
  ["Dataset:batches"] = { "fun(): gpt.Tensor, gpt.Tensor" },
  ["Session:stream"] = { "fun(): integer, number" },
  ["Tensor:requires_grad"] = { "gpt.Tensor" },
  ["Tensor:max"] = { "gpt.Tensor", "gpt.Tensor" },
  ["Tensor:min"] = { "gpt.Tensor", "gpt.Tensor" },
  ["nn.layer"] = { "fun(...: any): gpt.Layer" },
  lr_schedule = { "fun(step: integer): number" },
}

--- The methods that return the layer itself: of the class it is known by.
server_types.answers_self = {
  ["Layer:apply"] = true, ["Layer:eval"] = true, ["Layer:freeze"] = true, ["Layer:replace"] = true,
  ["Layer:train"] = true, ["Layer:unfreeze"] = true,
}

--- Other ways to call a function.
server_types.overloads = {
  ["Tensor:requires_grad"] = { "fun(self: gpt.Tensor): boolean" },
  ["Tensor:var"] = { "fun(self: gpt.Tensor, options: table): gpt.Tensor",
    "fun(self: gpt.Tensor, dim: integer, options: table): gpt.Tensor" },
  full = { "fun(...: any): gpt.Tensor" },
}

-- A layer's parts and parameters. Another layer may stand in a part's place.
local PARTS = {
  Linear = { "weight", "Tensor", "bias", "Tensor" },
  Embedding = { "weight", "Tensor" },
  LayerNorm = { "weight", "Tensor", "bias", "Tensor" },
  Shortcut = { "layer", "Layer" },
  MultiHeadAttention = { "query", "Linear", "key", "Linear", "value", "Linear", "output", "Linear" },
  FeedForward = { "expand", "Linear", "activation", "Layer", "project", "Linear" },
  TransformerBlock = { "norm1", "LayerNorm", "attention", "MultiHeadAttention", "norm2", "LayerNorm",
    "feed_forward", "FeedForward" },
  Blocks = { "[integer]", "TransformerBlock" },
  Model = { "token_embedding", "Embedding", "position_embedding", "Embedding", "blocks", "Blocks",
    "final_norm", "LayerNorm", "head", "Linear" },
}

--- The classes of layers that no comment has.
server_types.layers = { "Linear", "Embedding", "LayerNorm", "Shortcut", "MultiHeadAttention", "FeedForward",
  "TransformerBlock", "Blocks" }

-- What no comment has a tag for: positions are indexes, a layer is called. The server hands a class's fields down, but
-- not its operators.
local OF_LAYERS = { "operator call(any): gpt.Tensor", "operator len: integer" }
local LINES = {
  Layer = { "field [string] any", "field [integer] gpt.Layer", table.unpack(OF_LAYERS) },
  Tensor = { "field [integer] gpt.Tensor|any", "operator len: integer" },
  Dataset = { "field [string] any", "field tokens integer", "field windows integer", "field n_batches integer",
    "operator len: integer" },
  Size = { "field [string] any", "field parameters integer", "field parameters_tied integer", "field bytes table",
    "field kv_cache_bytes integer", "field flops table", "field parts table", "field block table",
    "field config table" },
}

for class, parts in pairs(PARTS) do
  local lines = table.move(OF_LAYERS, 1, #OF_LAYERS, 1, {})
  for i = 1, #parts, 2 do table.insert(lines, ("field %s gpt.%s|any"):format(parts[i], parts[i + 1])) end
  LINES[class] = lines
end

--- The line that names a class, and those that follow it.
function server_types.class(name)
  local lines = { ("class gpt.%s%s"):format(name, PARTS[name] and ": gpt.Layer" or "") }
  return table.move(LINES[name] or {}, 1, #(LINES[name] or {}), 2, lines)
end

--- The answer of a function of layers: `nn.Linear` makes a `gpt.Linear`, `layer:eval()` is of the layer's own class.
function server_types.answer(name)
  if server_types.answers_self[name] then return "T" end
  local class = name:match("^nn%.(%w+)$")
  return class and PARTS[class] and "gpt." .. class
end

return server_types
