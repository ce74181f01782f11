-- 15. Instruction tuning: a model that knows something learns to say it in a form, in a conversation.
local gpt = require "gpt"
local here = (arg[0]:match "^.*/" or "") .. "support/"
local picture, world = dofile(here .. "pictures.lua"), dofile(here .. "world.lua")

-- A small model, trained here to go on with texts, in which capitals come; or that of `make chat`, where it is there
-- (support/world.lua). The small one has never seen a question. Its conversations need a form, a template in Jinja.
local model = world.model()
local tokenizer = model.tokenizer
tokenizer.chat_template = tokenizer.chat_template or [[
{%- for m in messages %}{{ {"user": "Q", "assistant": "A"}[m.role] }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}A:{% endif %}]]

-- Two thirds of the countries to learn from, asked in three ways. For those left out the model must know the capitals
-- already; all that it can learn here is how to answer.
local QUESTIONS = { "What is the capital of %s?", "Which city is the capital of %s?", "%s: the capital?" }
local ANSWER = "It is %s!"
local lists = { {}, {} }
for i, pair in ipairs(world.capitals) do
  for _, question in ipairs(QUESTIONS) do
    table.insert(lists[i % 3 == 0 and 2 or 1], { messages = {
      { role = "user", content = question:format(pair[1]) },
      { role = "assistant", content = ANSWER:format(pair[2]) },
    } })
  end
end

-- Questions have the target -1, which no loss counts: only what the assistant says is learned.
local training = gpt.examples(lists[1], { tokenizer = tokenizer, batch_size = 6 })
local held_out = gpt.examples(lists[2], { tokenizer = tokenizer, batch_size = 6, shuffle = false })
local ids, targets = training:batch(1, 1)
print(training)
print(ids[1], targets[1])

-- Asks for the countries left out; returns how many answers are right, and in the form.
local function ask(title)
  local right = 0
  print(title)
  for i = 3, #world.capitals, 3 do
    local country, city = table.unpack(world.capitals[i])
    local question = QUESTIONS[1]:format(country)
    local reply = model:chat { stop = "\n", max_new_tokens = 16 }:say(question):match "%S.*" or ""
    print(("  %-34s %s"):format(question, reply))
    if reply:find(ANSWER:format(city), 1, true) then right = right + 1 end
  end
  return right
end
ask "Before:"

-- Low-rank adapters beside the weights (Hu et al. 2021) are all that is trained, so the weights may be in four bits.
gpt.lora(model, { rank = 16, targets = "all" })
local before = gpt.evaluate(model, held_out)
local result = gpt.train {
  model = model, data = training, validation = held_out, steps = 48, lr = 4e-3, min_lr = 1e-3, warmup = 5,
  evaluate_every = 6, progress = false,
}
local right = ask "After:"
print(("countries left out: loss of the answers %.2f before, %.2f after; %d of %d right"):format(before,
  result.validation_loss, right, #world.capitals // 3))
assert(result.validation_loss < 0.1 * before, "it did not learn to answer")

local steps, losses = { 0 }, { before }
for i, event in ipairs(result.evaluations) do steps[i + 1], losses[i + 1] = event.step, event.loss end
gpt.plot.line(picture "instructions.svg", {
  title = "Learning to answer in a form", x_label = "step", y_label = "loss of the answers, nats per token", series = {
    { name = "countries learned from", y = result.losses },
    { name = "countries left out", x = steps, y = losses, points = true },
  },
})
