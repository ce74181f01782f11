-- 1. Tensors: arrays of numbers with a shape. Everything that follows is made of them.
local gpt = require "gpt"

-- Six numbers in two rows of three. Integers alone make a tensor of integers (i64); one float among them makes it a
-- tensor of floats (f32).
local t = gpt.tensor { { 1.0, 2.0, 3.0 }, { 4.0, 5.0, 6.0 } }
print("A tensor:", t)
print("its shape:", t:shape()[1] .. " x " .. t:shape()[2], "in all:", t:numel())

-- Dimensions and positions count from 1, as in Lua; -1 is the last.
print("\nThe second row, t[2]:", t[2])
print("The last column, t:select(2, -1):", t:select(2, -1))
print("The sum of each row, t:sum(2):", t:sum(2))

-- A slice is a view: it shares memory with the tensor, so writing to the view writes to the tensor.
local view = t:narrow(2, 2, 2) -- of dimension 2, from position 2, 2 of them
view:fill(0)
print("\nAfter view:fill(0), t is", t)

-- Shapes that differ are broadcast: a row is added to every row, a column to every column, a number to every element.
local row, column = gpt.tensor { 10.0, 20.0, 30.0 }, gpt.tensor { { 100.0 }, { 200.0 } }
print("\nrow + column:", row + column)

-- Matrix product: [2, 3] times [3, 2] is [2, 2].
local a = gpt.tensor { { 1.0, 2.0, 3.0 }, { 4.0, 5.0, 6.0 } }
print("\na times its transpose:", a:matmul(a:transpose(1, 2)))

-- The same seed gives the same random numbers, which are PyTorch's after torch.manual_seed(123).
gpt.seed(123)
print("\nThree random numbers:", gpt.rand(3))

-- Softmax turns any numbers into shares: all are positive, they add up to 1, and the largest number has the largest
-- share.
local shares = gpt.tensor({ 1.0, 2.0, 3.0 }):softmax(1)
print("\nsoftmax of 1, 2, 3:", shares)
print(("their sum: %.4f"):format(shares:sum():item()))

-- Automatic differentiation: ops on a tensor that requires a gradient are recorded in a graph. backward() then computes
-- how the result changes with each number of the tensor, and accumulates that in its grad.
local x = gpt.tensor({ 1.0, 2.0, 3.0 }):requires_grad(true)
local y = (x * x):sum() -- the derivative of x^2 is 2 x
y:backward()
print("\nThe gradient of x1^2 + x2^2 + x3^2 at 1, 2, 3:", x.grad)

-- Learning needs nothing more: a step against the gradient makes y smaller.
for _ = 1, 50 do
  x = (x - 0.1 * x.grad):detach():requires_grad(true)
  y = (x * x):sum()
  y:backward()
end
print(("after 50 such steps y is %.6f"):format(y:item()))
