/* Shapes, slices and joins. */
#include "binding/tensor.h"
#include "binding/tensor_list.h"
#include "core/ops/shape.h"

static int change_shape(lua_State *L, GptTensor *(*change)(GptEnv *, GptTensor *, int, const int64_t *)) {
  int64_t sizes[GPT_MAX_DIMS];
  int ndim;
  GptTensor *tensor = bind_tensor(L, 1);
  bind_shape(L, 2, sizes, &ndim);
  GptTensor **box = bind_result_of(L, &tensor);
  *box = change(bind_env(L), tensor, ndim, sizes);
  return bind_tensor_done(L, box);
}

/***
The same elements, in the same memory, in another shape; an error if the strides do not allow it.
@function Tensor:view
@param ... the shape: sizes, or one array of them; one size may be -1, which is worked out
@treturn Tensor
@usage print(gpt.arange(1, 6):view(2, 3))
*/
static int view(lua_State *L) { return change_shape(L, gpt_view); }

/***
The same elements in another shape: a view where possible, else a copy.
@function Tensor:reshape
@param ... the shape: sizes, or one array of them; one size may be -1, which is worked out
@treturn Tensor
@usage print(gpt.arange(1, 6):reshape(2, -1))
*/
static int reshape(lua_State *L) { return change_shape(L, gpt_reshape); }

/***
The tensor repeated, without copying, along dimensions of size 1 and along new ones in front.
@function Tensor:expand
@param ... the shape: sizes, or one array of them; -1 leaves a size as it is
@treturn Tensor
@usage print(gpt.ones(1, 3):expand(2, 3))
*/
static int expand(lua_State *L) { return change_shape(L, gpt_expand); }

/***
A view with two dimensions swapped.
@function Tensor:transpose
@tparam integer dim1
@tparam integer dim2
@treturn Tensor
@usage print(gpt.ones(2, 3):transpose(1, 2))   -- [3, 2]
*/
static int transpose(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim1 = bind_dim(L, 2, tensor->ndim), dim2 = bind_dim(L, 3, tensor->ndim);
  GptTensor **box = bind_result_of(L, &tensor);
  *box = gpt_transpose(bind_env(L), tensor, dim1, dim2);
  return bind_tensor_done(L, box);
}

/* The arguments from 2 on as dims: as they were given, from 0, and as bits. False where one is out of range or comes
 * twice. */
static bool read_dims(lua_State *L, int ndim, int64_t *wanted, int *count, int *dims, unsigned *seen) {
  *seen = 0;
  bind_shape(L, 2, wanted, count);
  for (int i = 0; i < *count; i++) {
    if (wanted[i] < -ndim || wanted[i] > ndim || wanted[i] == 0) return false;
    dims[i] = (int)(wanted[i] < 0 ? wanted[i] + ndim : wanted[i] - 1);
    if ((*seen >> dims[i] & 1) != 0) return false;
    *seen |= 1u << dims[i];
  }
  return true;
}

/***
A view with the dimensions in another order.
@function Tensor:permute
@param ... every dimension once, as numbers or as one array
@treturn Tensor
@usage gpt.zeros(2, 3, 4):permute(3, 1, 2)   -- [4, 2, 3]
*/
static int permute(lua_State *L) {
  int dims[GPT_MAX_DIMS], count;
  unsigned seen;
  char text[GPT_SHAPE_TEXT];
  int64_t wanted[GPT_MAX_DIMS];
  GptTensor *tensor = bind_tensor(L, 1);
  bool distinct = read_dims(L, tensor->ndim, wanted, &count, dims, &seen);
  if (!distinct || count != tensor->ndim)
    return bind_error(L, "permute: each of the dims 1..%d once expected, got %s", tensor->ndim,
                      gpt_shape_text(count, wanted, text));
  GptTensor **box = bind_result_of(L, &tensor);
  *box = gpt_permute(bind_env(L), tensor, dims);
  return bind_tensor_done(L, box);
}

/***
A copy with the order along some dimensions turned around.
@function Tensor:flip
@param ... dims, each at most once, as numbers or as one array
@treturn Tensor
@usage print(gpt.tensor({ { 1, 2 }, { 3, 4 } }):flip(2))   -- 2, 1 and 4, 3
*/
static int flip(lua_State *L) {
  int dims[GPT_MAX_DIMS], count;
  unsigned seen;
  char text[GPT_SHAPE_TEXT];
  int64_t wanted[GPT_MAX_DIMS];
  GptTensor *tensor = bind_tensor(L, 1);
  if (!read_dims(L, tensor->ndim, wanted, &count, dims, &seen))
    return bind_error(L, "flip: dims of 1..%d expected, each at most once, got %s", tensor->ndim,
                      gpt_shape_text(count, wanted, text));
  GptTensor **box = bind_result_of(L, &tensor);
  *box = gpt_flip(bind_env(L), tensor, seen);
  return bind_tensor_done(L, box);
}

/***
A view of `length` slices along a dimension.
@function Tensor:narrow
@tparam integer dim
@tparam integer first position of the first slice, from 1
@tparam integer length
@treturn Tensor
@usage print(t:narrow(2, 1, 2))   -- columns 1 and 2
*/
static int narrow(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim = bind_dim(L, 2, tensor->ndim);
  int64_t size = tensor->shape[dim];
  lua_Integer first = bind_check_integer(L, 3), length = bind_check_integer(L, 4);
  int64_t from = first < 0 ? size + first : first - 1;
  if (first == 0 || from < 0 || from > size)
    return bind_argument_error(L, 3, lua_pushfstring(L, "position %I out of range 1..%I", first, (lua_Integer)size));
  if (length < 0 || length > size - from)
    return bind_argument_error(L, 4,
                         lua_pushfstring(L, "length %I from position %I does not fit: dim %d has size %I", length,
                                         (lua_Integer)from + 1, dim + 1, (lua_Integer)size));
  GptTensor **box = bind_result_of(L, &tensor);
  *box = gpt_narrow(bind_env(L), tensor, dim, from, length);
  return bind_tensor_done(L, box);
}

/***
A view of one slice along a dimension, without that dimension. `t[i]` is `t:select(1, i)`.
@function Tensor:select
@tparam integer dim
@tparam integer position from 1; -1 is the last
@treturn Tensor
@usage print(t:select(-1, 1))   -- the first column
*/
static int select(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim = bind_dim(L, 2, tensor->ndim);
  int64_t position = bind_position(L, 3, tensor->shape[dim]);
  GptTensor **box = bind_result_of(L, &tensor);
  *box = gpt_select(bind_env(L), tensor, dim, position);
  return bind_tensor_done(L, box);
}

/***
A view with a new dimension of size 1.
@function Tensor:unsqueeze
@tparam integer dim where the new dimension will be; -1 is after the last
@treturn Tensor
@usage print(gpt.ones(3):unsqueeze(1))   -- [1, 3]
*/
static int unsqueeze(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim = bind_dim(L, 2, tensor->ndim + 1);
  GptTensor **box = bind_result_of(L, &tensor);
  *box = gpt_unsqueeze(bind_env(L), tensor, dim);
  return bind_tensor_done(L, box);
}

/***
A view without a dimension of size 1.
@function Tensor:squeeze
@tparam integer dim
@treturn Tensor
@usage print(gpt.ones(1, 3):squeeze(1))   -- [3]
*/
static int squeeze(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int dim = bind_dim(L, 2, tensor->ndim);
  GptTensor **box = bind_result_of(L, &tensor);
  *box = gpt_squeeze(bind_env(L), tensor, dim);
  return bind_tensor_done(L, box);
}

const luaL_Reg bind_tensor_shape[] = {
    {"view", view},     {"reshape", reshape}, {"expand", expand},       {"transpose", transpose}, {"permute", permute},
    {"flip", flip},         {"narrow", narrow}, {"select", select},   {"unsqueeze", unsqueeze}, {"squeeze", squeeze},     {NULL, NULL}};

/* Pushes the tensors of the array at argument 1, which is read raw. */
static BindTensorList *push_list(lua_State *L) {
  if (!lua_istable(L, 1))
    bind_argument_error(L, 1, lua_pushfstring(L, "a list of tensors expected, { a, b }, got %s", bind_typename(L, 1)));
  lua_settop(L, 2);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  if (!(count >= 1)) bind_argument_error(L, 1, "at least one tensor expected, got an empty array");
  if (!(count < 0x7fffffff)) bind_argument_error(L, 1, "too many tensors");
  BindTensorList *list = bind_push_tensor_list(L, count);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    GptTensor **box = (GptTensor **)bind_look(L, -1, BIND_TENSOR);
    if (box == NULL)
      bind_argument_error(L, 1, lua_pushfstring(L, "element [%I]: a tensor expected, got %s", i, bind_typename(L, -1)));
    if (*box == NULL) bind_argument_error(L, 1, lua_pushfstring(L, "element [%I]: this tensor was freed", i));
    bind_tensor_list_add(L, list, *box);
    lua_pop(L, 1);
  }
  return list;
}

/***
Concatenates tensors along a dimension; their other sizes must be equal.
@function cat
@tparam {Tensor,...} list
@tparam[opt=1] integer dim
@treturn Tensor
@usage print(gpt.cat({ gpt.ones(1, 3), gpt.zeros(2, 3) }, 1))   -- [3, 3]
*/
static int cat(lua_State *L) {
  BindTensorList *list = push_list(L);
  int dim = bind_opt_dim(L, 2, list->items[0]->ndim, 0);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_cat(bind_env(L), (int)list->count, list->items, dim);
  bind_tensor_list_drop(list);
  return bind_tensor_done(L, box);
}

/***
Joins tensors of one shape along a new dimension.
@function stack
@tparam {Tensor,...} list
@tparam[opt=1] integer dim where the new dimension will be
@treturn Tensor
@usage print(gpt.stack({ gpt.ones(3), gpt.zeros(3) }, 1))   -- [2, 3]
*/
static int stack(lua_State *L) {
  BindTensorList *list = push_list(L);
  int dim = bind_opt_dim(L, 2, list->items[0]->ndim + 1, 0);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_stack(bind_env(L), (int)list->count, list->items, dim);
  bind_tensor_list_drop(list);
  return bind_tensor_done(L, box);
}

const luaL_Reg bind_shape_functions[] = {{"cat", cat}, {"stack", stack}, {NULL, NULL}};
