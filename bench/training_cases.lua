-- Training steps that are measured, by name: a title, and the case as programs take it: vocabulary, context, emb_dim,
-- heads, layers, batch, tokens, tied.
local CASES = {
  small = { "a small model, 32 x 128 tokens", "512,128,128,4,4,32,128,0" },
  medium = { "29M parameters, 4 x 256 tokens", "8000,256,512,8,8,4,256,1" },
  ["64"] = { "GPT-2 small, 4 x 64 tokens", "50257,1024,768,12,12,4,64,1" },
  ["256"] = { "GPT-2 small, 4 x 256 tokens", "50257,1024,768,12,12,4,256,1" },
  ["1024"] = { "GPT-2 small, 1 x 1,024 tokens", "50257,1024,768,12,12,1,1024,1" },
}

-- Measures the cases that a run's options name.
-- @tparam table run
-- @tparam function start from options and a case to systems, which are closed afterwards
-- @tparam function measure called with a title and systems
return function(run, start, measure)
  for _, name in ipairs(run.options.training) do
    local title, case = table.unpack(CASES[name] or error("no training case " .. name, 0))
    io.stderr:write(title, "\n")
    local list = start(run.options, case)
    measure(title, list)
    for _, system in ipairs(list) do system:close() end
  end
end
