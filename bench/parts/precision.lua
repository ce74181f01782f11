-- The demo's model, trained in float32 and with products in bf16 from the same start over the same batches. Then the
-- first one's perplexity over new tales, with weights of every dtype.
package.path = "examples/?.lua;" .. package.path
local gpt = require "gpt"
local rounding = require "rounding"
local tales = require "support.tales"

local VOCABULARY, CONTEXT, SMOOTH = 1024, 192, 10

local KINDS = { { "f32" }, { "bf16" }, { "f16" }, { "q8_0" }, { "q5_1" }, { "q5_0" }, { "q4_1" }, { "q4_0" },
  { "q4_0", "q8_0" }, { "q4_1", "q8_0" } }

local function data_of()
  local text = tales.write(6000, 1)
  local tokenizer = gpt.train_tokenizer(text, { vocab_size = VOCABULARY })
  local training = gpt.dataset(text,
    { tokenizer = tokenizer, special = true, context_length = CONTEXT, batch_size = 6, seed = 1 })
  return tokenizer, training, tales.sequences(160, 2, tokenizer)
end

local function train(precision, tokenizer, training, steps)
  gpt.seed(123)
  local model = gpt.Model { vocab_size = tokenizer.vocab_size, context_length = CONTEXT, emb_dim = 128, n_heads = 4,
    n_layers = 3, drop_rate = 0, qkv_bias = true }
  gpt.set_precision(precision)
  local result = gpt.train { model = model, data = training, steps = steps, lr = 3e-3, min_lr = 1e-4, warmup = 40,
    progress = false }
  gpt.set_precision "f32"
  return model, result.losses
end

-- Means of ten steps.
local function curve(name, losses)
  local one = { name = name, x = {}, y = {} }
  for first = 1, #losses - SMOOTH + 1, SMOOTH do
    local sum = 0
    for i = first, first + SMOOTH - 1 do sum = sum + losses[i] end
    table.insert(one.x, first + SMOOTH / 2)
    table.insert(one.y, sum / SMOOTH)
  end
  return one
end

return function(run)
  local steps = run.options.steps
  local tokenizer, training, validation = data_of()
  local series, trained = {}, {}
  for i, precision in ipairs { "f32", "bf16" } do
    io.stderr:write("training in ", precision, "\n")
    local losses
    trained[precision], losses = train(precision, tokenizer, training, steps)
    series[i] = curve(precision, losses)
  end
  run.report:text("Loss of the last %d of %d steps: %.4f in float32, %.4f in bf16; over new tales %.4f and %.4f.",
    SMOOTH, steps, series[1].y[#series[1].y], series[2].y[#series[2].y], gpt.evaluate(trained.f32, validation),
    gpt.evaluate(trained.bf16, validation))
  run.report:chart("precision", { title = "Training with products in float32 and in bf16", x_label = "step",
    y_label = "nats per token", y_scale = "log", series = series })
  local path = run.options.work .. "/demo"
  trained.f32:save(path)
  run.report:text "Perplexity over new tales, by the dtype of the weights:"
  run.report:table({ "weights", "perplexity", "beside f32" }, rounding(path, KINDS, function(model)
    return math.exp(gpt.evaluate(model, validation))
  end))
end
