-- How a tensor lies in a file where that is not as a Model has it. A form has `shape`, a function from the model's
-- shape to the file's (without it they are equal); `read` and `write`, functions of a tensor and the config, from the
-- file's form to the model's and back; and `copies`, where reading makes a new tensor.

local forms = {}

local function swapped(tensor) return tensor:transpose(1, 2) end

-- A Conv1D of Hugging Face's: [in, out].
forms.turned = { shape = function(shape) return { shape[2], shape[1] } end, read = swapped, write = swapped }

return forms
