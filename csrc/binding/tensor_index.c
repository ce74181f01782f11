/* Picking, masking and ordering elements; the matrix product. */
#include "core/ops/index.h"

#include "binding/tensor.h"
#include "core/ops/gather.h"
#include "core/ops/matmul.h"
#include "core/ops/sort.h"

int bind_positions_done(lua_State *L, GptTensor **box) {
  bind_tensor_done(L, box);
  GptTensor *from_zero = *box; /* the graph may hold it, so it stays as it is */
  *box = gpt_shifted(bind_env(L), from_zero, 1);
  gpt_tensor_release(from_zero);
  return bind_tensor_done(L, box);
}

/* Turns each position in place; an argument error for one out of range. */
static void check_positions(lua_State *L, int index, GptTensor *positions, int64_t size) {
  int64_t n = gpt_tensor_numel(positions), *position = gpt_integers(positions);
  for (int64_t i = 0; i < n; i++) {
    int64_t given = position[i];
    if (given == 0 || given > size || given < -size)
      bind_argument_error(L, index,
                    lua_pushfstring(L, "element [%I] is position %I, out of range 1..%I", (lua_Integer)i + 1,
                                    (lua_Integer)given, (lua_Integer)size));
    position[i] = given > 0 ? given - 1 : size + given;
  }
}

static void fill_positions(lua_State *L, int index, GptTensor *positions) {
  for (int64_t i = 1; i <= positions->shape[0]; i++) {
    int whole;
    lua_rawgeti(L, index, i);
    gpt_integers(positions)[i - 1] = lua_tointegerx(L, -1, &whole);
    bool table = lua_istable(L, -1);
    if (!whole || lua_type(L, -1) != LUA_TNUMBER)
      bind_argument_error(L, index,
                    lua_pushfstring(L, "element [%I]: a position (a whole number) expected, got %s%s", (lua_Integer)i,
                                    table ? "a table" : bind_word(L, -1),
                                    table ? "; gpt.tensor { ... } makes positions of more dims" : ""));
    lua_pop(L, 1);
  }
}

/* Positions, an array or an i64 tensor, each from 1 (-1: the last) to size: pushes them as a contiguous i64 tensor
   counted from 0. */
static GptTensor *push_positions(lua_State *L, int index, int64_t size) {
  GptEnv *env = bind_env(L);
  GptTensor *given = bind_test_tensor(L, index);
  if (given == NULL && !lua_istable(L, index)) bind_type_error(L, index, "array or i64 tensor of positions");
  if (given != NULL && given->storage->dtype != GPT_I64)
    bind_argument_error(
        L, index,
        lua_pushfstring(L, "an i64 tensor of positions expected, got %s", gpt_dtype_name(given->storage->dtype)));
  GptTensor **box = bind_new_tensor(L);
  *box = given != NULL ? gpt_tensor_copy(env, bind_tensor(L, index))
                       : gpt_tensor_new(env, GPT_I64, 1, &(int64_t){(int64_t)lua_rawlen(L, index)});
  bind_tensor_done(L, box);
  if (given == NULL) fill_positions(L, index, *box);
  check_positions(L, index, *box, size);
  return *box;
}

/***
A copy of the slices at given positions along a dimension. A position may be given more than once; its gradients add up.
@function Tensor:index
@tparam integer dim
@param positions an array, or an i64 tensor of any shape, which takes the dimension's place; from 1, -1 is the last
@treturn Tensor
@usage print(t:index(-1, { 3, 1 }))   -- columns 3 and 1
*/
static int index_slices(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim = bind_dim(L, 2, tensor->ndim);
  GptTensor *positions = push_positions(L, 3, tensor->shape[dim]), **box = bind_result_of(L, &tensor);
  *box = gpt_index(bind_env(L), tensor, dim, positions);
  return bind_tensor_done(L, box);
}

/***
Elements picked along a dimension, one for each position: `y[i][j] = t[i][positions[i][j]]` for dim 2. As in
torch.gather, positions have as many dimensions as the tensor, and but for dim no larger sizes.
@function Tensor:gather
@tparam integer dim
@param positions an i64 tensor (for a vector also an array); from 1, -1 is the last
@treturn Tensor of the positions' shape
@usage local positions = gpt.tensor { { 4 }, { 1 } }
print(gpt.randn(2, 5):log_softmax(-1):gather(2, positions))   -- one of each row: [2, 1]
*/
static int gather(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim = bind_dim(L, 2, tensor->ndim);
  GptTensor *positions = push_positions(L, 3, tensor->shape[dim]), **box = bind_result_of(L, &tensor);
  *box = gpt_gather(bind_env(L), tensor, dim, positions);
  return bind_tensor_done(L, box);
}

/***
A copy with numbers added at positions along a dimension: `y[i][positions[i][j]] += source[i][j]` for dim 2. Where a
position comes several times, all are added. As in torch.scatter_add, the three have as many dimensions, and positions
no larger sizes than source, nor (but for dim) than the tensor.
@function Tensor:scatter_add
@tparam integer dim
@param positions an i64 tensor (for a vector also an array); from 1, -1 is the last
@tparam Tensor source
@treturn Tensor
@usage local ids = gpt.tensor { 2, 1, 2 }
print(gpt.zeros(3):scatter_add(1, ids, gpt.ones(3)))   -- how often each comes: 1, 2, 0
*/
static int scatter_add(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim = bind_dim(L, 2, tensor->ndim);
  bind_tensor(L, 4);
  GptTensor *positions = push_positions(L, 3, tensor->shape[dim]), **box = bind_result_of(L, &tensor);
  GptTensor *source = bind_tensor(L, 4);
  *box = gpt_scatter_add(bind_env(L), tensor, dim, positions, source);
  return bind_tensor_done(L, box);
}

/***
A copy with a number where the mask is not 0. No gradient goes there.
@function Tensor:masked_fill
@tparam Tensor mask broadcasts to the tensor's shape
@tparam number value
@treturn Tensor
@usage print(gpt.randn(4, 4):masked_fill(gpt.ones(4, 4):triu(1), -math.huge))
*/
static int masked_fill(lua_State *L) {
  bind_tensor(L, 1);
  bind_tensor(L, 2);
  GptNumber value = bind_number(L, 3);
  GptTensor *tensor, *mask, **box = bind_result_of_two(L, &tensor, &mask);
  *box = gpt_masked_fill(bind_env(L), tensor, mask, value);
  return bind_tensor_done(L, box);
}

static int cut_triangle(lua_State *L, GptTensor *(*cut)(GptEnv *, GptTensor *, int64_t)) {
  GptTensor *tensor = bind_tensor(L, 1);
  lua_Integer diagonal = bind_opt_integer(L, 2, 0);
  GptTensor **box = bind_result_of(L, &tensor);
  *box = cut(bind_env(L), tensor, diagonal);
  return bind_tensor_done(L, box);
}

/***
A copy with 0 above a diagonal of the last two dimensions.
@function Tensor:tril
@tparam[opt=0] integer diagonal 0 is the main one, 1 the one right of it
@treturn Tensor
@usage print(gpt.ones(3, 3):tril())
*/
static int tril(lua_State *L) { return cut_triangle(L, gpt_tril); }

/***
A copy with 0 below a diagonal of the last two dimensions.
@function Tensor:triu
@tparam[opt=0] integer diagonal 0 is the main one, 1 the one right of it
@treturn Tensor
@usage print(gpt.ones(3, 3):triu(1))   -- what attention hides
*/
static int triu(lua_State *L) { return cut_triangle(L, gpt_triu); }

/* A flag from the options at index, which know only that one. */
static bool flag_option(lua_State *L, int index, const char *what, const char *name, bool otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  bind_check_type(L, index, LUA_TTABLE);
  bind_check_options(L, index, what, (const char *const[]){name, NULL});
  bool value = lua_getfield(L, index, name) == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* A dim that is there, the last one where none is given. */
static int ordered_dim(lua_State *L, int index, const GptTensor *tensor) {
  if (tensor->ndim == 0) bind_argument_error(L, 1, "a tensor with at least one dimension expected, got shape []");
  return bind_opt_dim(L, index, tensor->ndim, tensor->ndim - 1);
}

static int ordered_done(lua_State *L, bool done, GptTensor **positions) {
  if (!done) return bind_raise(L, bind_env(L));
  return bind_positions_done(L, positions) + 1;
}

/***
The elements along a dimension in order. nan counts as the largest; equal ones keep their order.
@function Tensor:sort
@tparam[opt=-1] integer dim
@tparam[opt] table options `descending` (false)
@treturn Tensor values
@treturn Tensor positions, i64, from 1
@usage local values, positions = gpt.tensor({ 0.3, 0.1, 0.2 }):sort(-1)
print(values, positions)
*/
static int sort(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim = ordered_dim(L, 2, tensor);
  bool descending = flag_option(L, 3, "sort", "descending", false);
  GptTensor **values = bind_new_tensor(L), **positions = bind_result_of(L, &tensor);
  bool done = gpt_sort(bind_env(L), tensor, dim, descending, values, positions);
  return ordered_done(L, done, positions);
}

/***
The k largest elements along a dimension, the largest first. Of equal ones the first comes first.
@function Tensor:topk
@tparam integer k
@tparam[opt=-1] integer dim
@tparam[opt] table options `largest` (true); false: the smallest
@treturn Tensor values
@treturn Tensor positions, i64, from 1
@usage local values, positions = gpt.tensor({ 0.3, 0.1, 0.2 }):topk(2)
print(values, positions)
*/
static int topk(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  lua_Integer k = bind_check_integer(L, 2);
  int dim = ordered_dim(L, 3, tensor);
  if (k < 0 || k > tensor->shape[dim])
    return bind_argument_error(L, 2,
                         lua_pushfstring(L, "0 to %I expected, as dim %d has that size, got %I",
                                         (lua_Integer)tensor->shape[dim], dim + 1, k));
  bool largest = flag_option(L, 4, "topk", "largest", true);
  GptTensor **values = bind_new_tensor(L), **positions = bind_result_of(L, &tensor);
  bool done = gpt_topk(bind_env(L), tensor, k, dim, largest, values, positions);
  return ordered_done(L, done, positions);
}

/***
The matrix product, as torch.matmul: `[n] [n]` -> a number, `[m, k] [k]` -> `[m]`, `[k] [k, n]` -> `[n]`,
`[..., m, k] [..., k, n]` -> `[..., m, n]`, where the dimensions before the last two broadcast.
@function Tensor:matmul
@tparam Tensor other
@treturn Tensor f32
@usage print(gpt.ones(2, 3):matmul(gpt.ones(3, 4)))   -- [2, 4]
*/
static int matmul(lua_State *L) {
  GptTensor *tensor, *other, **box = bind_result_of_two(L, &tensor, &other);
  *box = gpt_matmul(bind_env(L), tensor, other);
  return bind_tensor_done(L, box);
}

const luaL_Reg bind_tensor_index[] = {
    {"index", index_slices}, {"gather", gather}, {"scatter_add", scatter_add}, {"masked_fill", masked_fill}, {"tril", tril}, {"triu", triu}, {"sort", sort},
    {"topk", topk},          {"matmul", matmul},           {NULL, NULL}};
