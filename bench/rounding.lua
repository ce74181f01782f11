-- What rounding costs: a model's perplexity with weights of every dtype, beside float32.
local gpt = require "gpt"

-- The head of a model over blocks may stay more precise: 4 bits are few for it.
local function load(path, dtype, head)
  if dtype == "as in the file" then return gpt.load(path) end
  local model = gpt.load(path, { dtype = "f32" })
  if dtype ~= "f32" then
    model.head:to(head or dtype)
    model.blocks:to(dtype)
    model.token_embedding:to(head or dtype)
  end
  return model
end

-- Rows of a report's table.
-- @string path of the model's files
-- @tparam {table,...} kinds a dtype, and the head's where that is another; f32 is the first
-- @tparam function measure the perplexity of a model
return function(path, kinds, measure)
  local rows, base = {}, nil
  for i, kind in ipairs(kinds) do
    local dtype, head = kind[1], kind[2]
    local value = measure(load(path, dtype, head))
    base = base or value
    local name = head and ("%s, its head and embedding in %s"):format(dtype, head) or dtype
    rows[i] = { name, ("%.4f"):format(value), ("%+.2f%%"):format(100 * (value / base - 1)) }
  end
  return rows
end
