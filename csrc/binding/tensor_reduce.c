/* Reductions, and what else goes along a dimension: running sums, softmax. */
#include "binding/tensor.h"
#include "core/ops/cumsum.h"
#include "core/ops/reduce.h"
#include "core/ops/softmax.h"

static bool check_keepdim(lua_State *L, int index) {
  if (!lua_isnoneornil(L, index)) bind_check_type(L, index, LUA_TBOOLEAN);
  return lua_toboolean(L, index);
}

static int reduce(lua_State *L, GptTensor *(*op)(GptEnv *, GptTensor *, int, bool)) {
  GptTensor *x = bind_tensor(L, 1);
  int dim = bind_opt_dim(L, 2, x->ndim, GPT_ALL_DIMS);
  bool keepdim = check_keepdim(L, 3);
  GptTensor **box = bind_result_of(L, &x);
  *box = op(bind_env(L), x, dim, keepdim);
  return bind_tensor_done(L, box);
}

/***
The sum of all elements, or along one dimension. An i64 stays i64.
@function Tensor:sum
@tparam[opt] integer dim from 1; -1 is the last; without it all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@treturn Tensor
@usage print(gpt.ones(2, 3):sum(), gpt.ones(2, 3):sum(-1))
*/
static int sum(lua_State *L) { return reduce(L, gpt_sum); }

/***
The mean of all elements, or along one dimension; f32.
@function Tensor:mean
@tparam[opt] integer dim from 1; -1 is the last; without it all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@treturn Tensor
@usage print(gpt.randn(2, 3):mean(-1, true))
*/
static int mean(lua_State *L) { return reduce(L, gpt_mean); }

/* The correction in an options table at index; what starts messages. */
static double correction_option(lua_State *L, int index, const char *what) {
  static const char *const names[] = {"correction", NULL};
  if (lua_isnoneornil(L, index)) return 1;
  bind_check_type(L, index, LUA_TTABLE);
  bind_check_options(L, index, what, names);
  if (lua_getfield(L, index, "correction") != LUA_TNIL && lua_type(L, -1) != LUA_TNUMBER)
    bind_error(L, "%s: correction: a number expected, got %s", what, bind_typename(L, -1));
  double correction = bind_opt_number(L, -1, 1);
  lua_pop(L, 1);
  return correction;
}

static int spread(lua_State *L, const char *what, GptTensor *(*op)(GptEnv *, GptTensor *, int, bool, double)) {
  GptTensor *x = bind_tensor(L, 1);
  int options = 2;
  while (options < 4 && !lua_istable(L, options)) options++;
  int dim = options > 2 ? bind_opt_dim(L, 2, x->ndim, GPT_ALL_DIMS) : GPT_ALL_DIMS;
  bool keepdim = options > 3 && check_keepdim(L, 3);
  double correction = correction_option(L, options, what);
  GptTensor **box = bind_result_of(L, &x);
  *box = op(bind_env(L), x, dim, keepdim, correction);
  return bind_tensor_done(L, box);
}

/***
The variance: the sum of (x - mean)^2, divided by the number of elements less the correction.
@function Tensor:var
@tparam[opt] integer dim from 1; -1 is the last; without it all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@tparam[opt] table options always the last argument: `correction` (1)
@treturn Tensor
@usage print(gpt.randn(2, 3):var(-1, true, { correction = 0 }))   -- as layer norm has it
*/
static int variance(lua_State *L) { return spread(L, "var", gpt_var); }

/***
The standard deviation, the square root of the variance; see var. Its gradient is 0 where it is 0.
@function Tensor:std
@tparam[opt] integer dim from 1; -1 is the last; without it all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@tparam[opt] table options always the last argument: `correction` (1)
@treturn Tensor
@usage print(gpt.randn(2, 3):std(-1))
*/
static int deviation(lua_State *L) { return spread(L, "std", gpt_std); }

/***
The p-norm of all elements, or along one dimension: (sum of |x|^p)^(1/p), f32. With p = math.huge the largest |x|, with
-math.huge the least, with 0 how many are not 0. Where there is no derivative, at 0, the gradient is 0.
@function Tensor:norm
@tparam[opt=2] number p
@tparam[opt] integer dim from 1; -1 is the last; without it all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@treturn Tensor
@usage print(gpt.tensor({ 3.0, 4.0 }):norm())   -- 5
print(gpt.ones(2, 3):norm(1, -1))
*/
static int norm(lua_State *L) {
  GptTensor *x = bind_tensor(L, 1);
  double p = bind_opt_number(L, 2, 2);
  if (p != p) bind_argument_error(L, 2, "p: a number or an infinity expected, got nan");
  int dim = bind_opt_dim(L, 3, x->ndim, GPT_ALL_DIMS);
  bool keepdim = check_keepdim(L, 4);
  GptTensor **box = bind_result_of(L, &x);
  *box = gpt_norm(bind_env(L), x, p, dim, keepdim);
  return bind_tensor_done(L, box);
}

static int extreme(lua_State *L, GptTensor *(*op)(GptEnv *, GptTensor *, int, bool, GptTensor **)) {
  GptTensor *x = bind_tensor(L, 1);
  int dim = bind_opt_dim(L, 2, x->ndim, GPT_ALL_DIMS);
  bool keepdim = check_keepdim(L, 3);
  GptTensor **values = bind_new_tensor(L), **positions = bind_result_of(L, &x);
  *values = op(bind_env(L), x, dim, keepdim, positions);
  bind_tensor_done(L, values);
  if (dim != GPT_ALL_DIMS) return bind_positions_done(L, positions) + 1;
  lua_pop(L, 1);
  return 1;
}

/***
The largest element, or the largest ones along a dimension and their positions. A nan counts as the largest. Along a
dimension the first of equal ones is returned; over all elements they share the gradient.
@function Tensor:max
@tparam[opt] integer dim from 1; -1 is the last; without it all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@treturn Tensor
@treturn ?Tensor with a dim: the positions, i64, from 1
@usage local values, positions = gpt.randn(2, 3):max(-1)
print(values, positions)
*/
static int max(lua_State *L) { return extreme(L, gpt_max); }

/***
The least element, or the least ones along a dimension and their positions; see max.
@function Tensor:min
@tparam[opt] integer dim from 1; -1 is the last; without it all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@treturn Tensor
@treturn ?Tensor with a dim: the positions, i64, from 1
@usage print(gpt.randn(2, 3):min())
*/
static int min(lua_State *L) { return extreme(L, gpt_min); }

static int extreme_position(lua_State *L, GptTensor *(*op)(GptEnv *, GptTensor *, int, bool)) {
  reduce(L, op);
  return bind_positions_done(L, lua_touserdata(L, -1));
}

/***
The position of the (first) largest element. Positions count from 1; to get token ids, which count from 0, from logits,
use gpt.sample.
@function Tensor:argmax
@tparam[opt] integer dim from 1; -1 is the last; without it the position among all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@treturn Tensor i64
@usage print(gpt.tensor({ 0.1, 0.7, 0.2 }):argmax())   -- 2, a position; as a token id that is 1
*/
static int argmax(lua_State *L) { return extreme_position(L, gpt_argmax); }

/***
The position of the (first) least element; see argmax.
@function Tensor:argmin
@tparam[opt] integer dim from 1; -1 is the last; without it the position among all elements
@tparam[opt=false] boolean keepdim leaves the dimension, with size 1
@treturn Tensor i64
@usage print(gpt.tensor({ 0.1, 0.7, 0.2 }):argmin(-1))
*/
static int argmin(lua_State *L) { return extreme_position(L, gpt_argmin); }

static int along(lua_State *L, GptTensor *(*op)(GptEnv *, GptTensor *, int)) {
  GptTensor *x = bind_tensor(L, 1);
  int dim = bind_dim(L, 2, x->ndim);
  GptTensor **box = bind_result_of(L, &x);
  *box = op(bind_env(L), x, dim);
  return bind_tensor_done(L, box);
}

/***
Running sums along a dimension: each element is the sum of itself and all before it. An i64 stays i64.
@function Tensor:cumsum
@tparam integer dim from 1; -1 is the last
@treturn Tensor
@usage print(gpt.tensor({ 1, 2, 3 }):cumsum(1))   -- 1, 3, 6
*/
static int cumsum(lua_State *L) { return along(L, gpt_cumsum); }

/***
exp(x) divided by its sum along a dimension: positive numbers that add up to 1.
@function Tensor:softmax
@tparam integer dim from 1; -1 is the last
@treturn Tensor
@usage print(gpt.tensor({ 1.0, 2.0, 3.0 }):softmax(-1))
*/
static int softmax(lua_State *L) { return along(L, gpt_softmax); }

/***
The logarithm of softmax, without its loss of accuracy.
@function Tensor:log_softmax
@tparam integer dim from 1; -1 is the last
@treturn Tensor
@usage print(gpt.tensor({ 1.0, 2.0, 3.0 }):log_softmax(-1))
*/
static int log_softmax(lua_State *L) { return along(L, gpt_log_softmax); }

const luaL_Reg bind_tensor_reduce[] = {{"sum", sum},
                                       {"mean", mean},
                                       {"var", variance},
                                       {"std", deviation},
                                       {"norm", norm},
                                       {"max", max},
                                       {"min", min},
                                       {"argmax", argmax},
                                       {"argmin", argmin},
                                       {"cumsum", cumsum},
                                       {"softmax", softmax},
                                       {"log_softmax", log_softmax},
                                       {NULL, NULL}};
