-- Optimizers beside PyTorch's numbers, and moments that are kept in fewer bits.
local gpt = require "gpt"
local optimizers = require "spec.support.optimizers"
local process = require "spec.support.process"
local raised = require "spec.support.raised"

local distance = optimizers.distance

local function leaf(values) return gpt.tensor(values, { dtype = "f32" }):requires_grad(true) end

-- Beside PyTorch: nearly every bit in f32, but for Muon, whose products are bfloat16's there. That, and moments in fewer
-- bits, as a share of the way that the weights went. SGD's moments are its whole direction; AdamW divides one by the root
-- of the other, here with five magnitudes in a block; Muon makes the small singular values of its moment large.
local beside_pytorch = [=[
local optimizers = require "spec.support.optimizers"
local BOUNDS = { SGD = { f32 = 1e-6, bf16 = 0.005, q8 = 0.02 }, AdamW = { f32 = 1e-5, bf16 = 0.005, q8 = 0.15 },
  Muon = { f32 = 0.02, bf16 = 0.03, q8 = 0.06 } }

for i, case in ipairs(require "spec.fixtures.optimizers") do
  local what = ("%s, case %d"):format(case.name, i)
  local way = optimizers.distance(case.weights, optimizers.weights():totable())
  for dtype, bound in pairs(BOUNDS[case.name]) do
    local off = optimizers.distance(case.weights, optimizers.weights_after(case, { moment_dtype = dtype })) / way
    assert(off < bound, ("%s with moments in %s: off by %g of the way"):format(what, dtype, off))
  end
end
print "done"
]=]

describe("optimizers", function()
  for _, set in ipairs { "", "avx2", "generic" } do
    it("compute what PyTorch's do, with " .. (set == "" and "this processor's kernels" or set), function()
      local output, ok = process.lua(beside_pytorch, set ~= "" and "LUAGPT_KERNELS=" .. set or "")
      assert.equal("done\n", output)
      assert.is_true(ok)
    end)
  end

  it("have a name, the rates of their groups, and print them", function()
    local a, b = leaf { 1.0 }, leaf { 2.0 }
    local optimizer = gpt.optim.SGD({ { params = { a } }, { params = { b }, lr = 0.2, momentum = 0.5 } },
      { lr = 0.1, momentum = 0.9, nesterov = true, moment_dtype = "bf16" })
    assert.equal("SGD", optimizer.name)
    assert.equal("bf16", optimizer.moment_dtype)
    optimizer.lr = 0.5
    assert.same({ 0.5, 1.0 }, optimizer.lrs)
    assert.equal([[
SGD { moment_dtype = "bf16",  -- 2 groups; 0 steps
  { lr = 0.5, momentum = 0.9, nesterov = true, weight_decay = 0 },  -- 1 parameter, 1
  { lr = 1, momentum = 0.5, nesterov = true, weight_decay = 0 },  -- 1 parameter, 1
}]], tostring(optimizer))
    assert.equal("AdamW { lr = 0.001, betas = { 0.9, 0.999 }, eps = 1e-08, weight_decay = 0.01, moment_dtype = \"q8\" }"
      .. "  -- 1 parameter, 1; 0 steps", tostring(gpt.optim.AdamW({ a }, { moment_dtype = "q8" })))
    assert.equal("SGD { lr = 0.001, momentum = 0, nesterov = false, weight_decay = 0 }  -- 1 parameter, 1; 0 steps",
      tostring(gpt.optim.SGD { a }))
  end)

  it("say what is wrong with their options", function()
    local function refusal(options) return raised(gpt.optim.SGD, { leaf { 1.0 } }, options) end
    assert.equal("gpt.optim.SGD: momentum: a number from 0 to less than 1 expected, got 1", refusal { momentum = 1 })
    assert.equal("gpt.optim.SGD: nesterov: true or false expected, got 1", refusal { nesterov = 1 })
    assert.equal("gpt.optim.SGD: nesterov: needs a momentum above 0", refusal { nesterov = true })
    assert.equal("gpt.optim.SGD: unknown option 'betas'", refusal { betas = { 0, 0 } })
    assert.equal("gpt.optim.SGD: moment_dtype: \"f32\", \"bf16\" or \"q8\" expected, got \"f16\"",
      refusal { moment_dtype = "f16" })
    assert.equal("gpt.optim.SGD: moment_dtype: \"f32\", \"bf16\" or \"q8\" expected, got 8", refusal { moment_dtype = 8 })
    assert.equal("gpt.optim.SGD: group 1: unknown option 'moment_dtype'",
      raised(gpt.optim.SGD, { { params = { leaf { 1.0 } }, moment_dtype = "q8" } }))
  end)
end)

describe("moments in fewer bits", function()
  local function adamw(w, dtype) return gpt.optim.AdamW({ w }, { lr = 0.1, betas = { 0.9, 0.95 }, moment_dtype = dtype }) end

  it("take fewer bytes", function()
    local n = 64000
    local w = gpt.zeros(n):requires_grad(true)
    w.grad = gpt.ones(n)
    for dtype, bytes in pairs { f32 = 8, bf16 = 4, q8 = 2 * (1 + 4 / 64) } do
      local optimizer = adamw(w, dtype)
      collectgarbage()
      local before = gpt.memory().live
      optimizer:step()
      assert.near(bytes, (gpt.memory().live - before) / n, 0.02)
    end
  end)

  it("go on elsewhere, bit for bit", function()
    for _, dtype in ipairs { "bf16", "q8" } do
      local w, v = optimizers.weights(), optimizers.weights()
      local one, two = adamw(w, dtype), adamw(v, dtype)
      optimizers.run(one, w, 1, 3)
      local state = one:state()
      assert.equal("AdamW", state.optimizer)
      assert.equal(dtype, state.moment_dtype)
      gpt.no_grad(function() v:copy(w) end)
      two:load_state(state)
      optimizers.run(one, w, 4, 7)
      optimizers.run(two, v, 4, 7)
      assert.equal(w:bytes(), v:bytes())
      for name, tensor in pairs(one:state().tensors) do
        assert.equal(tensor:bytes(), two:state().tensors[name]:bytes())
      end
    end
  end)

  it("are the same where a weight is strided, and for any number of threads", function()
    local threads = gpt.threads and gpt.threads() or 0
    for _, shape in ipairs { { 70, 128 }, { 70, 130 }, { 2, 65, 66 }, { 20000 } } do
      for _, dtype in ipairs { "bf16", "q8" } do
        local bytes = {}
        for i, count in ipairs { 1, 2, 3 } do
          gpt.set_threads(count)
          gpt.seed(3)
          local w = gpt.randn(shape)
          local n = #shape
          if i == 3 and n > 1 then w = w:transpose(n - 1, n):contiguous():transpose(n - 1, n) end
          w:requires_grad(true)
          local optimizer = adamw(w, dtype)
          for _ = 1, 2 do
            w.grad = gpt.randn(shape)
            optimizer:step()
          end
          bytes[i] = w:contiguous():bytes()
        end
        assert.is_true(bytes[1] == bytes[2] and bytes[1] == bytes[3])
      end
    end
    gpt.set_threads(threads)
  end)

  -- A mean of squares that shrinks by a thousandth a step: rounded to the nearest of its codes it would never move.
  it("follow slow changes, by rounding at random", function()
    for dtype, bound in pairs { bf16 = 0.02, q8 = 0.06 } do
      local n = 512
      local w = gpt.zeros(n):requires_grad(true)
      local optimizer = gpt.optim.AdamW({ w }, { lr = 0, betas = { 0, 0.999 }, moment_dtype = dtype })
      for step = 1, 501 do
        w.grad = gpt.full({ n }, step == 1 and 1.0 or 0.0)
        w.grad[1] = 1.0
        optimizer:step()
      end
      local plain = gpt.optim.AdamW { w }
      plain:load_state(optimizer:state(), { convert = true })
      local squares = plain:state().tensors["exp_avg_sq.1"]
      assert.near(1, squares:narrow(1, 2, n - 1):mean():item() / (0.001 * 0.999 ^ 500), bound)
    end
  end)

  it("never make a root of nothing: what is small beside its block stays above 0", function()
    local w = leaf { 0.0, 0.0 }
    local optimizer = adamw(w, "q8")
    w.grad = gpt.tensor { 1.0, 1e-12 }
    optimizer:step()
    local plain = gpt.optim.AdamW { w }
    plain:load_state(optimizer:state(), { convert = true })
    assert.is_true(plain:state().tensors["exp_avg_sq.1"][2]:item() > 0)
    w.grad = gpt.tensor { 0.0, 0.0 }
    optimizer:step()
    assert.is_true(math.abs(w[2]:item()) < 0.3)
  end)

  it("are converted where that is asked for, and refused otherwise", function()
    local w = optimizers.weights()
    local f32 = adamw(w)
    optimizers.run(f32, w, 1, 3)
    local exact = f32:state().tensors
    for dtype, bound in pairs { bf16 = 0.004, q8 = 0.02 } do
      local reduced, again = adamw(w, dtype), adamw(w)
      assert.equal(("load_state: the state's moments are f32, this optimizer's are %s; load_state(state, { convert = true"
        .. " }) converts them, and moment_dtype = \"f32\" of the optimizer takes them as they are"):format(dtype),
        raised(function() reduced:load_state(f32:state()) end))
      reduced:load_state(f32:state(), { convert = true })
      assert.equal(3, reduced:state().step)
      again:load_state(reduced:state(), { convert = true })
      for name, tensor in pairs(again:state().tensors) do
        local expected = exact[name]:totable()
        local size = distance(expected, (exact[name] * 0):totable())
        assert.is_true(distance(expected, tensor:totable()) < bound * size, name)
      end
    end
  end)

  it("are checked: kind of optimizer, dtype, shapes", function()
    local w = optimizers.weights()
    local function refusal(optimizer, state, options)
      return raised(function() optimizer:load_state(state, options) end)
    end
    local q8, sgd = adamw(w, "q8"), gpt.optim.SGD({ w }, { momentum = 0.9 })
    optimizers.run(q8, w, 1, 1)
    local state = q8:state()
    assert.equal("load_state: the state is that of AdamW, this optimizer is SGD", refusal(sgd, state))
    local names = {}
    for name in pairs(state.tensors) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "exp_avg.1", "exp_avg_scale.1", "exp_avg_sq.1", "exp_avg_sq_scale.1" }, names)
    local plain = { steps = { ["1"] = 1 }, moment_dtype = "q8", tensors = { ["exp_avg.1"] = gpt.ones(2) } }
    assert.equal("load_state: tensors: 'exp_avg_scale.1': a tensor expected, got nil", refusal(q8, plain))
    for name, tensor in pairs(state.tensors) do plain.tensors[name] = tensor end
    plain.tensors["exp_avg.1"] = gpt.ones(2)
    assert.equal("load_state: exp_avg of parameter '1': i64 of shape [2, 8] expected, got f32 of shape [2]",
      refusal(q8, plain))
    plain.tensors["exp_avg.1"], plain.tensors["exp_avg_scale.1"] = state.tensors["exp_avg.1"], gpt.ones(3)
    assert.equal("load_state: exp_avg_scale of parameter '1': f32 of shape [2] expected, got f32 of shape [3]",
      refusal(q8, plain))
    plain.moment_dtype = "q4"
    assert.equal("load_state: moment_dtype: \"f32\", \"bf16\" or \"q8\" expected, got \"q4\"", refusal(q8, plain))
    assert.equal("load_state: unknown option 'convrt'; did you mean 'convert'?", refusal(q8, state, { convrt = true }))
    assert.equal("load_state: convert: true or false expected, got 1", refusal(q8, state, { convert = 1 }))
    assert.same({ ["1"] = 1 }, q8:state().steps)
    assert.is_nil(next(gpt.optim.SGD { w }:state().tensors))
  end)
end)
