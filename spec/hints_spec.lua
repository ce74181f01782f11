local gpt = require "gpt"

-- What users of PyTorch and of Hugging Face's libraries type, and what they are told.
local MODEL = {
  vocab_size = 5, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0, qkv_bias = false,
}

local function refusal(code)
  local model, x = gpt.Model(MODEL), gpt.ones(2, 3)
  local tokenizer = gpt.train_tokenizer({ text = "ab" }, { vocab_size = 257 })
  local call = assert(load("local gpt, x, model, tokenizer, optimizer = ... " .. code, "=user"))
  local ok, text = pcall(call, gpt, x, model, tokenizer, gpt.optim.AdamW(model))
  assert.is_false(ok, code)
  return (text:gsub("^user:1: ", ""))
end

local function check(messages)
  for code, expected in pairs(messages) do assert.equal(expected, refusal(code)) end
end

local CPU = "; all is computed on the CPU: leave it out"

describe("names of other libraries", function()
  it("of tensors", function()
    local function no(name, hint) return ("a gpt.Tensor has no field or method '%s'%s"):format(name, hint) end
    check {
      ["x:t()"] = no("t", "; x:transpose(1, 2) does it"),
      ["x:numpy()"] = no("numpy", "; did you mean 'totable'?"),
      ["x:tolist()"] = no("tolist", "; did you mean 'totable'?"),
      ["x:mm(x)"] = no("mm", "; did you mean 'matmul'?"),
      ["x:bmm(x)"] = no("bmm", "; did you mean 'matmul'?"),
      ["x:cuda()"] = no("cuda", CPU),
      ["x:cpu()"] = no("cpu", CPU),
      ["return x.device"] = no("device", CPU),
      ["return x.ndim"] = no("ndim", "; did you mean 'dim'?"),
      ["x:flatten()"] = no("flatten", "; did you mean 'reshape'?"),
      ["x:requires_grad_()"] = no("requires_grad_", "; did you mean 'requires_grad'?"),
      ["x:scatter_add_()"] = no("scatter_add_", "; did you mean 'scatter_add'?"),
      ["x:clip(0, 1)"] = no("clip", "; did you mean 'clamp'?"),
      ["x:take_along_dim()"] = no("take_along_dim", "; did you mean 'gather'?"),
      ["x:einsum()"] = no("einsum", "; matmul, permute and sum do what it writes"),
      ["x:zero_()"] = no("zero_", "; did you mean 'fill'?"),
    }
  end)

  it("of the module and its parts", function()
    local AS_A_FUNCTION = "; a plain function does it in a Sequential, as in function(x) return x:tanh() end"
    check {
      ["gpt.manual_seed(1)"] = "gpt has no 'manual_seed'; did you mean 'seed'?",
      ["gpt.from_pretrained 'gpt2'"] = "gpt has no 'from_pretrained'; did you mean 'load'?",
      ["gpt.Linear(2, 3)"] = "gpt has no 'Linear'; there is gpt.nn.Linear",
      ["gpt.AdamW(model)"] = "gpt has no 'AdamW'; there is gpt.optim.AdamW",
      ["gpt.softmax(x)"] = "gpt has no 'softmax'; it is a method of tensors: x:softmax(...)",
      ["gpt.cumsum(x, 1)"] = "gpt has no 'cumsum'; it is a method of tensors: x:cumsum(...)",
      ["gpt.save(model)"] = "gpt has no 'save'; model:save(dir) writes a model, layer:save_parameters(file) any layer's "
        .. "parameters",
      ["gpt.zeros_like(x)"] = "gpt has no 'zeros_like'; gpt.zeros(x:shape()) does it",
      ["gpt.nn.Module()"] = "gpt.nn has no 'Module'; gpt.nn.layer(name, { init = ..., forward = ... }) makes a new kind of "
        .. "layer",
      ["gpt.nn.Tanh()"] = "gpt.nn has no 'Tanh'" .. AS_A_FUNCTION,
      ["gpt.nn.ModuleList()"] = "gpt.nn has no 'ModuleList'; did you mean 'List'?",
      ["gpt.nn.CrossEntropyLoss()"] = "gpt.nn has no 'CrossEntropyLoss'; gpt.cross_entropy(logits, targets) is it",
      ["gpt.optim.Adam(model)"] = "gpt.optim has no 'Adam'; AdamW with weight_decay = 0 is Adam",
    }
  end)

  it("of layers, optimizers and tokenizers", function()
    check {
      ["model:state_dict()"] = "Model has no field or method 'state_dict'; did you mean 'parameters'?",
      ["model:load_state_dict {}"] = "Model has no field or method 'load_state_dict'; did you mean 'load_parameters'?",
      ["model:named_parameters()"] = "Model has no field or method 'named_parameters'; did you mean 'parameters'?",
      ["model:cuda()"] = "Model has no field or method 'cuda'" .. CPU,
      ["model:forward {1}"] = "Model has no field or method 'forward'; call the layer itself: layer(x)",
      ["model:zero_grad()"] = "Model has no field or method 'zero_grad'; optimizer:zero_grad() does it",
      ["optimizer:state_dict()"] = "a gpt.Optimizer has no field or method 'state_dict'; did you mean 'state'?",
      ["optimizer:load_state_dict {}"] = "a gpt.Optimizer has no field or method 'load_state_dict'; did you mean "
        .. "'load_state'?",
      ["tokenizer:encode_plus 'a'"] = "a gpt.Tokenizer has no field or method 'encode_plus'; did you mean 'encode'?",
      ["tokenizer:batch_decode {}"] = "a gpt.Tokenizer has no field or method 'batch_decode'; did you mean 'decode'?",
      ["gpt.get_peft_model(model)"] = "gpt has no 'get_peft_model'; did you mean 'lora'?",
      ["gpt.PeftModel.from_pretrained(model, 'x')"] = "gpt has no 'PeftModel'; did you mean 'load_adapter'?",
      ["model:merge_and_unload()"] = "Model has no field or method 'merge_and_unload'; did you mean 'merge_lora'?",
      ["model:set_adapter 'x'"] = "Model has no field or method 'set_adapter'; did you mean 'use_adapter'?",
      ["model:gradient_checkpointing_enable()"] =
        "Model has no field or method 'gradient_checkpointing_enable'; did you mean 'recompute'?",
      ["model:register_forward_hook(print)"] = "Model has no field or method 'register_forward_hook'; "
        .. "layer:run(x, { [path] = function(output) ... end }) calls a layer with hooks",
      ["return tokenizer.eos_token_id"] = "a gpt.Tokenizer has no field or method 'eos_token_id'; did you mean 'eos'?",
    }
  end)

  it("of options", function()
    local data = "gpt.dataset({ 1, 2, 3 }, { context_length = 2 })"
    check {
      ["gpt.dataset({ 1, 2, 3 }, { context_length = 2, block_size = 2 })"] =
        "gpt.dataset: block_size: unknown key; did you mean 'context_length'?",
      ["gpt.train { model = model, data = " .. data .. ", steps = 1, learning_rate = 1 }"] =
        "gpt.train: learning_rate: unknown key; did you mean 'lr'?",
      ["gpt.train { model = model, data = " .. data .. ", steps = 1, lr = 1, schedule = function() end }"] =
        "gpt.train: schedule and lr: one of the two, not both",
      ["gpt.lr_schedule { lr = 1, steps = 3, max_lr = 1 }"] =
        "gpt.lr_schedule: max_lr: unknown key; did you mean 'lr'?",
      ["gpt.optim.AdamW(model, { learning_rate = 1 })"] =
        "gpt.optim.AdamW: unknown option 'learning_rate'; did you mean 'lr'?",
      ["model:generate({ 1 }, { max_length = 5 })"] =
        "gpt.generate: unknown option 'max_length'; did you mean 'max_new_tokens'?",
      ["model:generate({ 1 }, { device = 'cuda' })"] = "gpt.generate: unknown option 'device'" .. CPU,
      ["model:generate({ 1 }, { streamer = print })"] = "gpt.generate: unknown option 'streamer'; "
        .. "model:stream(prompt, options) returns each token as soon as it is there",
      ["gpt.lora(model, { r = 4, lora_alpha = 8, lora_dropout = 0.1, target_modules = 'all' })"] = "gpt.lora: 4 problems:"
        .. "\n  lora_alpha: unknown key; did you mean 'alpha'?\n  lora_dropout: unknown key; did you mean 'dropout'?"
        .. "\n  r: unknown key; did you mean 'rank'?\n  target_modules: unknown key; did you mean 'targets'?",
      ["gpt.grammar { schema = {} }"] = "gpt.grammar: unknown option 'schema'; did you mean 'json_schema'?",
      ["x:to 'cuda'"] = "bad argument #1 to 'to' (there is no dtype 'cuda'" .. CPU .. ")",
    }
  end)

  it("and habits of Python", function()
    check {
      ["return x[{ 1, 2 }]"] = "gpt.Tensor[i]: a whole number expected, got a table; t[1][2] goes down two dims, "
        .. "t:index(1, { 1, 2 }) takes several rows",
      ["x:view(-1, -1)"] = "view: only one size may be -1, got [-1, -1]",
      ["x:reshape(-1, -1)"] = "reshape: only one size may be -1, got [-1, -1]",
      ["x:item()"] = "item: a tensor with one element expected, got shape [2, 3]; t[1]:item() takes one element, "
        .. "t:totable() all",
      ["tokenizer:decode { '15496' }"] = 'decode: ids[1]: a whole number expected, got the string "15496"; tonumber '
        .. "makes a number of it",
    }
  end)
end)
