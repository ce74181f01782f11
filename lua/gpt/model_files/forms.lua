-- How a tensor lies in a file where that is not as a Model has it. A form has `shape`, a function from the model's
-- shape to the file's (without it they are equal); `read` and `write`, functions of a tensor and the config, from the
-- file's form to the model's and back; and `copies`, where reading makes a new tensor.
local core = require "gpt.core"

local forms = {}

local function swapped(tensor) return tensor:transpose(1, 2) end

-- A Conv1D of Hugging Face's: [in, out].
forms.turned = { shape = function(shape) return { shape[2], shape[1] } end, read = swapped, write = swapped }

-- Rows of heads, [heads * 2 * pairs, ...]: both sizes say in which order the two numbers of a pair and the pairs come.
local function reorder(tensor, heads, first, second)
  return core.no_grad(function()
    local shape = tensor:shape()
    local rows = tensor:view(heads, first, second, table.unpack(shape, 2))
    return rows:transpose(2, 3):contiguous():view(shape)
  end)
end

-- Queries or keys whose rows are so that rotary positions turn neighbours, where a Model's turn halves of a head.
-- @string key the config's key that says how many heads there are
function forms.neighbours(key)
  return {
    copies = true,
    read = function(tensor, config)
      return reorder(tensor, config[key], tensor:size(1) // config[key] // 2, 2)
    end,
    write = function(tensor, config)
      return reorder(tensor, config[key], 2, tensor:size(1) // config[key] // 2)
    end,
  }
end

-- Norms whose factor lies in the file, where a Model has what it adds to config.norm_offset.
forms.whole_factor = {
  copies = true,
  read = function(tensor, config) return core.no_grad(function() return tensor:float() - config.norm_offset end) end,
  write = function(tensor, config) return core.no_grad(function() return tensor:float() + config.norm_offset end) end,
}

return forms
