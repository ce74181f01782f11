/* The functions that make tensors. What they have in common: shapes are numbers or one array, options come last. */
#include <string.h>

#include "binding/tensor.h"

/* A shape, then options; nothing after them. */
static void check_shape_options(lua_State *L, const char *what, int64_t *shape, int *ndim, BindMaking *options) {
  int next = bind_shape(L, 1, shape, ndim);
  bind_making_options(L, next, what, options);
  if (!lua_isnone(L, next + 1)) bind_argument_error(L, next + 1, "nothing expected after the options");
}

static int make_full(lua_State *L, const char *what, GptNumber value) {
  int64_t shape[GPT_MAX_DIMS];
  int ndim;
  BindMaking options = {.dtype = GPT_F32};
  check_shape_options(L, what, shape, &ndim, &options);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_full(bind_env(L), options.dtype, ndim, shape, value);
  return bind_made(L, box, what, &options);
}

/***
A tensor of zeros.
@function zeros
@param ... the shape: sizes, or one array of them
@tparam[opt] table options `dtype` ("f32", "i64", or any that t:to makes), `requires_grad`
@treturn Tensor
@usage print(gpt.zeros(2, 3))
print(gpt.zeros({ 2, 3 }, { dtype = "i64" }))
*/
static int zeros(lua_State *L) { return make_full(L, "zeros", (GptNumber){0, 0}); }

/***
A tensor of ones.
@function ones
@param ... the shape: sizes, or one array of them
@tparam[opt] table options `dtype`, `requires_grad`
@treturn Tensor
@usage print(gpt.ones(2, 3))
*/
static int ones(lua_State *L) { return make_full(L, "ones", (GptNumber){1, 1}); }

/* Of several numbers at the beginning all but the last are sizes: they become one array. */
static void gather_sizes(lua_State *L) {
  int count = 0;
  while (lua_type(L, count + 1) == LUA_TNUMBER) count++;
  if (count <= 2) return;
  lua_createtable(L, count - 1, 0);
  for (int i = 1; i < count; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i);
  }
  lua_replace(L, 1);
  lua_rotate(L, 2, -(count - 2)); /* the sizes but the first, to the top */
  lua_pop(L, count - 2);
}

/***
A tensor with one number everywhere: i64 for an integer, f32 for a float.
@function full
@param shape sizes, or one array of them
@tparam number value
@tparam[opt] table options `dtype`, `requires_grad`
@treturn Tensor
@usage gpt.full({ 2, 3 }, 0.5)
gpt.full(2, 3, 0.5)   -- the same
*/
static int full(lua_State *L) {
  int64_t shape[GPT_MAX_DIMS];
  gather_sizes(L);
  BindMaking options = {.dtype = lua_isinteger(L, 2) ? GPT_I64 : GPT_F32};
  int ndim = bind_one_shape(L, 1, shape);
  GptNumber value = bind_number(L, 2);
  bind_making_options(L, 3, "full", &options);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_full(bind_env(L), options.dtype, ndim, shape, value);
  return bind_made(L, box, "full", &options);
}

static void check_floats(lua_State *L, const char *what, const BindMaking *options) {
  if (options->dtype != GPT_F32)
    bind_error(L, "%s: dtype: 'f32' expected, got '%s'", what, gpt_dtype_name(options->dtype));
}

static int make_random(lua_State *L, const char *what, GptTensor *(*draw)(GptEnv *, int, const int64_t *)) {
  int64_t shape[GPT_MAX_DIMS];
  int ndim;
  BindMaking options = {.dtype = GPT_F32};
  check_shape_options(L, what, shape, &ndim, &options);
  check_floats(L, what, &options);
  GptTensor **box = bind_new_tensor(L);
  *box = draw(bind_env(L), ndim, shape);
  return bind_made(L, box, what, &options);
}

/***
Numbers drawn uniformly from [0, 1), as torch.rand on a CPU draws them.
@function rand
@param ... the shape: sizes, or one array of them
@tparam[opt] table options `requires_grad`
@treturn Tensor
@usage print(gpt.rand(2, 3))
*/
static int rand_tensor(lua_State *L) { return make_random(L, "rand", gpt_rand); }

/***
Numbers from the standard normal distribution, as torch.randn on a CPU draws them.
@function randn
@param ... the shape: sizes, or one array of them
@tparam[opt] table options `requires_grad`
@treturn Tensor
@usage print(gpt.randn(2, 3))
*/
static int randn_tensor(lua_State *L) { return make_random(L, "randn", gpt_randn); }

/***
Integers drawn from low .. high-1, as torch.randint draws them.
@function randint
@tparam integer low
@tparam integer high exclusive
@param ... the shape: sizes, or one array of them
@treturn Tensor i64
@usage print(gpt.randint(0, 50257, 2, 4))   -- token ids
*/
static int randint_tensor(lua_State *L) {
  int64_t shape[GPT_MAX_DIMS];
  lua_Integer low = bind_check_integer(L, 1), high = bind_check_integer(L, 2);
  if (low >= high)
    return bind_argument_error(L, 2, lua_pushfstring(L, "a number above low (%I) expected, got %I", low, high));
  int ndim = 0;
  bind_shape(L, 3, shape, &ndim);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_randint(bind_env(L), low, high, ndim, shape);
  return bind_tensor_done(L, box);
}

static int64_t check_length(lua_State *L, int index) {
  lua_Integer n = bind_check_integer(L, index);
  if (n < 0) bind_argument_error(L, index, lua_pushfstring(L, "a count of 0 or more expected, got %I", n));
  return n;
}

/***
The numbers 1 .. n in random order: torch.randperm's, plus 1, because positions count from 1.
@function randperm
@tparam integer n
@treturn Tensor i64 [n]
@usage print(gpt.randperm(5))
*/
static int randperm_tensor(lua_State *L) {
  int64_t n = check_length(L, 1);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_randperm(bind_env(L), n);
  return bind_positions_done(L, box);
}

static int arange_floats(lua_State *L) {
  double step = bind_opt_number(L, 3, 1);
  if (!(step != 0 && step == step)) bind_argument_error(L, 3, "a step other than 0 expected");
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_arange_floats(bind_env(L), lua_tonumber(L, 1), lua_tonumber(L, 2), step);
  return bind_tensor_done(L, box);
}

/***
The numbers first, first + step, ... up to last, which is included, as in Lua's for. i64 if all three are integers.
@function arange
@tparam number first
@tparam number last
@tparam[opt=1] number step
@treturn Tensor one-dimensional
@usage gpt.arange(1, 3)   -- 1 2 3
*/
static int arange(lua_State *L) {
  bind_check_number(L, 1);
  if (lua_isnone(L, 2))
    return bind_argument_error(L, 2, "the last number expected, got no value: "
                               "gpt.arange(1, 10), or gpt.arange(0, 9) for ids");
  bind_check_number(L, 2);
  bind_opt_number(L, 3, 1);
  if (!lua_isinteger(L, 1) || !lua_isinteger(L, 2) || !(lua_isnoneornil(L, 3) || lua_isinteger(L, 3)))
    return arange_floats(L);
  lua_Integer step = bind_opt_integer(L, 3, 1);
  if (!(step != 0)) bind_argument_error(L, 3, "a step other than 0 expected");
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_arange_integers(bind_env(L), lua_tointeger(L, 1), lua_tointeger(L, 2), step);
  return bind_tensor_done(L, box);
}

/***
n numbers evenly spaced from first to last, both included.
@function linspace
@tparam number first
@tparam number last
@tparam integer n
@treturn Tensor [n]
@usage print(gpt.linspace(0, 1, 5))
*/
static int linspace(lua_State *L) {
  double first = bind_check_number(L, 1), last = bind_check_number(L, 2);
  int64_t n = check_length(L, 3);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_linspace(bind_env(L), first, last, n);
  return bind_tensor_done(L, box);
}

/***
A tensor from raw little-endian numbers, as t:bytes() returns them.
@function from_bytes
@tparam string bytes
@param shape an array of sizes, or one size
@tparam[opt="f32"] string dtype "f32" (4 bytes a number), "i64" (8), "f16" and "bf16" (2), or one of blocks along the
last dimension: "q8_0" (34 bytes for 32 numbers), "q4_0" (18), "q4_1" (20), "q5_0" (22), "q5_1" (24), "q4_k" (144 for
256), "q5_k" (176), "q6_k" (210)
@treturn Tensor
@usage print(gpt.from_bytes(string.pack("<ff", 1, 2), { 2 }, "f32"))
*/
static int from_bytes(lua_State *L) {
  size_t length;
  int64_t shape[GPT_MAX_DIMS];
  char text[GPT_SHAPE_TEXT];
  const char *bytes = bind_check_bytes(L, 1, &length);
  int ndim = bind_one_shape(L, 2, shape);
  GptDtype dtype = bind_dtype(L, 3);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_tensor_new(bind_env(L), dtype, ndim, shape);
  if (*box == NULL) return bind_raise(L, bind_env(L));
  if ((*box)->storage->bytes != length)
    return bind_argument_error(L, 1,
                         lua_pushfstring(L, "%I bytes expected for %s of shape %s, got %I",
                                         (lua_Integer)(*box)->storage->bytes, gpt_dtype_name(dtype),
                                         gpt_shape_text(ndim, shape, text), (lua_Integer)length));
  if (length > 0) memcpy((*box)->storage->data, bytes, length);
  return bind_tensor_done(L, box);
}

/***
Is this a tensor?
@function is_tensor
@param value anything
@treturn boolean
@usage print(gpt.is_tensor(gpt.ones(1)), gpt.is_tensor(1))  --> true false
*/
static int is_tensor(lua_State *L) {
  bind_check_any(L, 1);
  lua_pushboolean(L, luaL_testudata(L, 1, BIND_TENSOR) != NULL);
  return 1;
}

const luaL_Reg bind_making_functions[] = {{"tensor", bind_tensor_of},
                                          {"zeros", zeros},
                                          {"ones", ones},
                                          {"full", full},
                                          {"rand", rand_tensor},
                                          {"randn", randn_tensor},
                                          {"randint", randint_tensor},
                                          {"randperm", randperm_tensor},
                                          {"arange", arange},
                                          {"linspace", linspace},
                                          {"from_bytes", from_bytes},
                                          {"is_tensor", is_tensor},
                                          {NULL, NULL}};
