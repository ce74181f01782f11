/* Arithmetic, comparison, functions of one tensor, choice by a condition, and losses. */
#include <math.h>

#include "binding/tensor.h"
#include "core/ops/binary.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/matmul.h"
#include "core/ops/rms_norm.h"
#include "core/ops/unary.h"
#include "core/ops/where.h"

/* Is there an i64 tensor, or an integer? */
static bool is_integral(lua_State *L, int index) {
  const GptTensor *tensor = bind_test_tensor(L, index);
  return tensor != NULL ? tensor->storage->dtype == GPT_I64 : lua_isinteger(L, index);
}

/* A tensor, or a number; whether it is one. */
static bool check_operand(lua_State *L, int index) {
  if (bind_test_tensor(L, index) != NULL) return false;
  if (index == 1 && lua_type(L, index) == LUA_TSTRING) /* from "1" + t: no argument of a call */
    bind_error(L, "arithmetic with a tensor: a tensor or a number expected, got string");
  if (lua_type(L, index) != LUA_TNUMBER)
    bind_argument_error(L, index, lua_pushfstring(L, "a tensor or a number expected, got %s", bind_typename(L, index)));
  return true;
}

/* Makes a number at index a tensor, in its place; i64 only where the operand at `other` is too. Returns whether it did.
 */
static bool make_operand(lua_State *L, int index, int other) {
  if (!check_operand(L, index)) return false;
  bool integer = lua_isinteger(L, index) && is_integral(L, other);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_full(bind_env(L), integer ? GPT_I64 : GPT_F32, 0, NULL, bind_number(L, index));
  bind_tensor_done(L, box);
  lua_replace(L, index);
  return true;
}

static int pair(lua_State *L, GptTensor *(*op)(GptEnv *, GptTensor *, GptTensor *)) {
  lua_settop(L, 2);
  bool first = make_operand(L, 1, 2), second = make_operand(L, 2, 1);
  GptTensor *a, *b, **box = bind_result_of_two(L, &a, &b);
  *box = op(bind_env(L), a, b);
  if (first) bind_drop_tensor(L, 1); /* now, without waiting for the collector */
  if (second) bind_drop_tensor(L, 2);
  return bind_tensor_done(L, box);
}

static int single(lua_State *L, GptTensor *(*op)(GptEnv *, GptTensor *)) {
  GptTensor *x, **box = bind_result_of(L, &x);
  *box = op(bind_env(L), x);
  return bind_tensor_done(L, box);
}

/***
Arithmetic, element by element: `a + b` and `a:add(b)`; likewise `sub`, `mul`, `div`, `pow` for `- * / ^`.
Each side is a tensor, or one of them a number. The shapes broadcast as in NumPy: counted from the last dimension, sizes
are equal or one of them is 1. The result is f32, also where both are i64.
@function Tensor:add
@tparam Tensor|number other
@treturn Tensor
@usage gpt.ones(2, 3) + gpt.tensor { 1, 2, 3 }   -- the row is added to both rows
*/
static int add(lua_State *L) { return pair(L, gpt_add); }

/***
`a - b`; see add.
@function Tensor:sub
@tparam Tensor|number other
@treturn Tensor
@usage print(gpt.tensor({ 3, 4 }) - 1)
*/
static int sub(lua_State *L) { return pair(L, gpt_sub); }

/***
`a * b`, element by element; see add. For the matrix product use matmul.
@function Tensor:mul
@tparam Tensor|number other
@treturn Tensor
@usage print(gpt.ones(2, 3) * gpt.tensor({ 1, 2, 3 }))
*/
static int mul(lua_State *L) { return pair(L, gpt_mul); }

/***
`a / b`; see add. A division by 0 gives inf, -inf or nan.
@function Tensor:div
@tparam Tensor|number other
@treturn Tensor
@usage print(gpt.tensor({ 1, 2 }) / 2)
*/
static int divide(lua_State *L) { return pair(L, gpt_div); }

/***
`a ^ b`; see add. A negative number to a fractional power is nan.
@function Tensor:pow
@tparam Tensor|number exponent
@treturn Tensor
@usage print(gpt.tensor({ 1, 2, 3 }) ^ 2)
*/
static int power(lua_State *L) { return pair(L, gpt_pow); }

/***
The outer product of two vectors: every element of one times every element of the other.
@function Tensor:outer
@tparam Tensor other a vector
@treturn Tensor f32
@usage print(gpt.tensor({ 1, 2, 3 }):outer(gpt.tensor({ 1, 10 })))   -- [3, 2]
*/
static int outer(lua_State *L) {
  GptTensor *a, *b, **box = bind_result_of_two(L, &a, &b);
  *box = gpt_outer(bind_env(L), a, b);
  return bind_tensor_done(L, box);
}

/***
Comparison, element by element; likewise `ne lt le gt ge`. The shapes broadcast. (Lua's own `==` is true if two values
are the same tensor.) Two i64 are compared as integers, all else as f32; nan equals nothing.
@function Tensor:eq
@tparam Tensor|number other
@treturn Tensor i64: 1 where it is true, 0 elsewhere
@usage print(gpt.tensor({ 1, 2, 3 }):eq(gpt.tensor({ 1, 5, 3 })):sum():item())   -- 2 agree
*/
static int eq(lua_State *L) { return pair(L, gpt_eq); }

/***
Where two tensors differ; see eq.
@function Tensor:ne
@tparam Tensor|number other
@treturn Tensor
@usage print(gpt.tensor({ 1, 2, 3 }):ne(2))
*/
static int ne(lua_State *L) { return pair(L, gpt_ne); }

/***
Where the tensor is less than the other; see eq.
@function Tensor:lt
@tparam Tensor|number other
@treturn Tensor
@usage print(gpt.tensor({ 1, 2, 3 }):lt(2))
*/
static int lt(lua_State *L) { return pair(L, gpt_lt); }

/***
Where the tensor is less than the other or equal; see eq.
@function Tensor:le
@tparam Tensor|number other
@treturn Tensor
@usage print(gpt.tensor({ 1, 2, 3 }):le(2))
*/
static int le(lua_State *L) { return pair(L, gpt_le); }

/***
Where the tensor is greater than the other; see eq.
@function Tensor:gt
@tparam Tensor|number other
@treturn Tensor
@usage print(gpt.tensor({ 1, 2, 3 }):gt(2))
*/
static int gt(lua_State *L) { return pair(L, gpt_gt); }

/***
Where the tensor is greater than the other or equal; see eq.
@function Tensor:ge
@tparam Tensor|number other
@treturn Tensor
@usage print(gpt.tensor({ 1, 2, 3 }):ge(2))
*/
static int ge(lua_State *L) { return pair(L, gpt_ge); }

/***
`-a`. Like all functions of one tensor it returns f32.
@function Tensor:neg
@treturn Tensor
@usage print(-gpt.ones(2))
*/
static int negative(lua_State *L) { return single(L, gpt_neg); }

/***
e to the power of each element.
@function Tensor:exp
@treturn Tensor
@usage print(gpt.tensor({ 0.5, 1.0, 2.0 }):exp())
*/
static int exponential(lua_State *L) { return single(L, gpt_exp); }

/***
The natural logarithm: -inf at 0, nan below.
@function Tensor:log
@treturn Tensor
@usage print(gpt.tensor({ 0.5, 1.0, 2.0 }):log())
*/
static int logarithm(lua_State *L) { return single(L, gpt_log); }

/***
The square root: nan below 0. Its gradient at 0 is inf.
@function Tensor:sqrt
@treturn Tensor
@usage print(gpt.tensor({ 0.5, 1.0, 2.0 }):sqrt())
*/
static int square_root(lua_State *L) { return single(L, gpt_sqrt); }

/***
The hyperbolic tangent.
@function Tensor:tanh
@treturn Tensor
@usage print(gpt.tensor({ 0.5, 1.0, 2.0 }):tanh())
*/
static int hyperbolic_tangent(lua_State *L) { return single(L, gpt_tanh); }

/***
The absolute value. Its gradient at 0 is 0.
@function Tensor:abs
@treturn Tensor
@usage print(gpt.tensor({ 0.5, 1.0, 2.0 }):abs())
*/
static int absolute(lua_State *L) { return single(L, gpt_abs); }

/***
max(x, 0). Its gradient at 0 is 0.
@function Tensor:relu
@treturn Tensor
@usage print(gpt.tensor({ 0.5, 1.0, 2.0 }):relu())
*/
static int relu(lua_State *L) { return single(L, gpt_relu); }

/***
The Gaussian error linear unit in its tanh form, as GPT-2 has it (Hendrycks and Gimpel 2016):
0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
@function Tensor:gelu
@treturn Tensor
@usage print(gpt.tensor({ 0.5, 1.0, 2.0 }):gelu())
*/
static int gelu(lua_State *L) { return single(L, gpt_gelu); }

/***
The Gaussian error linear unit itself: x times the normal distribution function of x.
@function Tensor:gelu_exact
@treturn Tensor
@usage print(gpt.tensor({ 0.5, 1.0, 2.0 }):gelu_exact())
*/
static int gelu_exact(lua_State *L) { return single(L, gpt_gelu_exact); }

/***
The logistic function, 1 / (1 + e^-x).
@function Tensor:sigmoid
@treturn Tensor
@usage print(gpt.tensor({ -1.0, 0.0, 1.0 }):sigmoid())
*/
static int sigmoid(lua_State *L) { return single(L, gpt_sigmoid); }

/***
The sigmoid linear unit (Elfwing et al. 2018), also called swish: x times sigmoid(x).
@function Tensor:silu
@treturn Tensor
@usage print(gpt.tensor({ -1.0, 0.0, 1.0 }):silu())
*/
static int silu(lua_State *L) { return single(L, gpt_silu); }

/***
The sine of each element, in radians.
@function Tensor:sin
@treturn Tensor
@usage print(gpt.tensor({ 0.0, math.pi / 2 }):sin())
*/
static int sine(lua_State *L) { return single(L, gpt_sin); }

/***
The cosine of each element, in radians.
@function Tensor:cos
@treturn Tensor
@usage print(gpt.tensor({ 0.0, math.pi }):cos())
*/
static int cosine(lua_State *L) { return single(L, gpt_cos); }

/***
1 / sqrt(x): inf at 0, nan below.
@function Tensor:rsqrt
@treturn Tensor
@usage print(gpt.tensor({ 0.25, 1.0, 4.0 }):rsqrt())
*/
static int reciprocal_root(lua_State *L) { return single(L, gpt_rsqrt); }

/***
Root mean square normalisation over the last dimension (Zhang and Sennrich 2019): x / sqrt(mean(x^2) + eps), times
weight.
@function Tensor:rms_norm
@tparam[opt] Tensor weight [n], the size of the last dimension; nil: no factor
@tparam[opt=1e-6] number eps
@treturn Tensor
@usage print(gpt.randn(2, 4):rms_norm(gpt.ones(4), 1e-5))
*/
static int rms_norm(lua_State *L) {
  double eps = bind_opt_number(L, 3, 1e-6);
  if (!(eps >= 0 && eps < INFINITY))
    bind_argument_error(L, 3, lua_pushfstring(L, "eps: a finite number of at least 0 expected, got %s", bind_shown(L, 3)));
  bool weighed = !lua_isnoneornil(L, 2);
  GptTensor *x, *weight = NULL;
  GptTensor **box = weighed ? bind_result_of_two(L, &x, &weight) : bind_result_of(L, &x);
  *box = gpt_rms_norm(bind_env(L), x, weight, eps, 0);
  return bind_tensor_done(L, box);
}

/***
Limits each element to at least low and at most high. The gradient passes where low < x < high.
@function Tensor:clamp
@tparam[opt] number low nil leaves this side open
@tparam[opt] number high nil leaves this side open
@treturn Tensor
@usage print(gpt.tensor({ -1.0, 3.0 }):clamp(nil, 1))
*/
static int clamp(lua_State *L) {
  GptTensor *x = bind_tensor(L, 1);
  if (lua_isnoneornil(L, 2) && lua_isnoneornil(L, 3))
    return bind_error(L, "clamp: a lowest number, a highest one or both expected, got neither");
  double low = bind_opt_number(L, 2, (double)NAN), high = bind_opt_number(L, 3, (double)NAN);
  GptTensor **box = bind_result_of(L, &x);
  *box = gpt_clamp(bind_env(L), x, low, high);
  return bind_tensor_done(L, box);
}

/* The condition at 1, values at 2 and 3: of them the result is made, and numbers among them are let go of. */
static int choose_operand(lua_State *L) {
  bool first = make_operand(L, 2, 3), second = make_operand(L, 3, 2);
  GptTensor **box = bind_new_tensor(L);
  GptTensor *condition = bind_tensor(L, 1), *a = bind_tensor(L, 2), *b = bind_tensor(L, 3);
  *box = gpt_where(bind_env(L), condition, a, b);
  if (first) bind_drop_tensor(L, 2);
  if (second) bind_drop_tensor(L, 3);
  return bind_tensor_done(L, box);
}

/***
A choice between two tensors, element by element: `a` where the condition is not 0, `b` elsewhere. The three broadcast;
each of a and b may be a number. The result is i64 where a and b both are, else f32. Gradients go to what was chosen.
@function where
@tparam Tensor condition as comparisons return it
@tparam Tensor|number a
@tparam Tensor|number b
@treturn Tensor
@usage local x = gpt.tensor({ -1.0, 4.0 })
print(gpt.where(x:gt(0), x, 0))
*/
static int where(lua_State *L) {
  bind_tensor(L, 1);
  check_operand(L, 2);
  check_operand(L, 3);
  lua_settop(L, 3);
  return choose_operand(L);
}

/***
The tensor where the condition is not 0, `other` elsewhere, as `gpt.where(condition, t, other)`.
@function Tensor:where
@tparam Tensor condition as comparisons return it
@tparam Tensor|number other
@treturn Tensor
@usage local x = gpt.tensor({ -1.0, 4.0 })
print(x:where(x:gt(0), 0))
*/
static int where_or(lua_State *L) {
  bind_tensor(L, 1);
  bind_tensor(L, 2);
  check_operand(L, 3);
  lua_settop(L, 3);
  lua_insert(L, 1); /* other, t, condition */
  lua_insert(L, 1); /* condition, other, t */
  lua_insert(L, 2); /* condition, t, other */
  return choose_operand(L);
}

/***
The loss of a language model: the mean over all positions of -log(softmax(logits)[target]), in nats.
Targets of -1, or of -100 as in PyTorch, are ignored; it is an error if no other is left.
@function cross_entropy
@tparam Tensor logits [..., vocabulary]
@tparam Tensor targets [...], i64 token ids, from 0
@treturn Tensor one number
@usage gpt.cross_entropy(model { 3, 1, 2 }, gpt.tensor { { 1, 2, 5 } }):backward()
*/
static int cross_entropy(lua_State *L) {
  GptTensor *logits, *targets, **box = bind_result_of_two(L, &logits, &targets);
  *box = gpt_cross_entropy(bind_env(L), logits, targets);
  return bind_tensor_done(L, box);
}

const luaL_Reg bind_tensor_math[] = {{"add", add},
                                     {"sub", sub},
                                     {"mul", mul},
                                     {"div", divide},
                                     {"pow", power},
                                     {"outer", outer},
                                     {"eq", eq},
                                     {"ne", ne},
                                     {"lt", lt},
                                     {"le", le},
                                     {"gt", gt},
                                     {"ge", ge},
                                     {"neg", negative},
                                     {"exp", exponential},
                                     {"log", logarithm},
                                     {"sqrt", square_root},
                                     {"tanh", hyperbolic_tangent},
                                     {"abs", absolute},
                                     {"relu", relu},
                                     {"gelu", gelu},
                                     {"gelu_exact", gelu_exact},
                                     {"sigmoid", sigmoid},
                                     {"silu", silu},
                                     {"sin", sine},
                                     {"cos", cosine},
                                     {"rsqrt", reciprocal_root},
                                     {"rms_norm", rms_norm},
                                     {"clamp", clamp},
                                     {"where", where_or},
                                     {NULL, NULL}};

const luaL_Reg bind_tensor_operators[] = {{"__add", add},   {"__sub", sub},      {"__mul", mul}, {"__div", divide},
                                          {"__pow", power}, {"__unm", negative}, {NULL, NULL}};

const luaL_Reg bind_math_functions[] = {{"cross_entropy", cross_entropy}, {"where", where}, {NULL, NULL}};
