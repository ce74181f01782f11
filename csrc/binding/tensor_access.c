/* What a tensor tells of itself, numbers out and in, and its part in the graph. */
#include <string.h>

#include "binding/tensor.h"
#include "binding/tensor_list.h"
#include "core/tensor/backward.h"
#include "core/ops/iterate.h"
#include "core/ops/shape.h"
#include "core/ops/write.h"

/***
The number in a tensor with one element.
@function Tensor:item
@treturn number an integer for i64, a float for f32
@usage print(gpt.tensor({ { 7 } }):item())  --> 7
*/
static int item(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  char text[GPT_SHAPE_TEXT];
  if (gpt_tensor_numel(tensor) != 1)
    return bind_error(L, "item: a tensor with one element expected, got shape %s; t[1]:item() takes one element, t:totable() all",
                      gpt_tensor_shape_text(tensor, text));
  if (tensor->storage->dtype == GPT_I64) lua_pushinteger(L, *gpt_integers(tensor));
  else lua_pushnumber(L, (lua_Number)gpt_tensor_float_at(tensor, 0));
  return 1;
}

/***
The elements as raw little-endian numbers, row by row, in blocks if the dtype has blocks; gpt.from_bytes reads them.
@function Tensor:bytes
@treturn string
@usage print(#gpt.zeros(2, 3):bytes())  --> 24
*/
static int bytes(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  GptTensor **contiguous = bind_result_of(L, &tensor);
  *contiguous = gpt_tensor_as_contiguous(bind_env(L), tensor);
  bind_tensor_done(L, contiguous);
  GptDtype dtype = (*contiguous)->storage->dtype;
  lua_pushlstring(L, gpt_tensor_data(*contiguous), gpt_dtype_bytes(dtype, gpt_tensor_numel(*contiguous)));
  return 1;
}

/***
The sizes of all dimensions.
@function Tensor:shape
@treturn {integer,...} an array
@usage print(table.concat(t:shape(), " x "))  --> 2 x 3
*/
static int shape(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  lua_createtable(L, tensor->ndim, 0);
  tensor = bind_tensor(L, 1);
  for (int d = 0; d < tensor->ndim; d++) {
    lua_pushinteger(L, tensor->shape[d]);
    lua_rawseti(L, -2, d + 1);
  }
  bind_printed(L);
  return 1;
}

/***
The size of one dimension.
@function Tensor:size
@tparam integer dim from 1; -1 is the last
@treturn integer
@usage print(t:size(1), t:size(-1))  --> 2 3
*/
static int size_of(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  lua_pushinteger(L, tensor->shape[bind_dim(L, 2, tensor->ndim)]);
  return 1;
}

/***
The number of dimensions.
@function Tensor:dim
@treturn integer
@usage print(t:dim())  --> 2
*/
static int dim(lua_State *L) {
  lua_pushinteger(L, bind_tensor(L, 1)->ndim);
  return 1;
}

/***
The number of elements.
@function Tensor:numel
@treturn integer
@usage print(t:numel())  --> 6
*/
static int numel(lua_State *L) {
  lua_pushinteger(L, gpt_tensor_numel(bind_tensor(L, 1)));
  return 1;
}

/***
The type of the elements: "f32", "i64", or one of the smaller ones that `to` has.
@function Tensor:dtype
@treturn string
@usage print(gpt.tensor({ 1, 2 }):dtype())  --> i64
*/
static int dtype(lua_State *L) {
  lua_pushstring(L, gpt_dtype_name(bind_tensor(L, 1)->storage->dtype));
  return 1;
}

/***
A contiguous copy. Gradients flow through it.
@function Tensor:clone
@treturn Tensor
@usage local own = t[1]:clone()
*/
static int clone(lua_State *L) {
  GptTensor *tensor, **box = bind_result_of(L, &tensor);
  *box = gpt_clone(bind_env(L), tensor);
  return bind_tensor_done(L, box);
}

/***
The tensor in f32: itself if it is f32 already, else a copy.
@function Tensor:float
@treturn Tensor
@usage print(gpt.tensor({ 1, 2 }):float())
*/
static int to_float(lua_State *L) {
  GptTensor *tensor, **box = bind_result_of(L, &tensor);
  *box =
      tensor->storage->dtype == GPT_F32 ? gpt_tensor_retain(tensor) : gpt_tensor_convert(bind_env(L), tensor, GPT_F32);
  return bind_tensor_done(L, box);
}

/***
The tensor in another dtype: itself if it has that dtype already, else a copy, without a graph. Numbers are rounded to
the nearest that the dtype has; i64 truncates towards 0. Blocks of 32 numbers along the last dimension share a scale:
q8_0 keeps about two digits of each, q4_0 about one. q4_k, q5_k and q6_k can be read, not written.
@function Tensor:to
@string dtype "f32", "i64", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0" or "q5_1"
@treturn Tensor
@raise if rows (the last dimension) do not divide into blocks of the dtype
@usage print(gpt.rand(2, 32):to("q8_0"):dtype())  --> q8_0
*/
static int to(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  bind_check_string(L, 2);
  GptDtype dtype = bind_dtype(L, 2);
  GptTensor **box = bind_result_of(L, &tensor);
  *box = tensor->storage->dtype == dtype ? gpt_tensor_retain(tensor) : gpt_tensor_convert(bind_env(L), tensor, dtype);
  return bind_tensor_done(L, box);
}

/***
The tensor with its elements side by side in memory, row by row: itself if it is contiguous already, else a copy.
@function Tensor:contiguous
@treturn Tensor
@usage t:transpose(1, 2):contiguous():view(6)
*/
static int contiguous(lua_State *L) {
  GptTensor *tensor, **box = bind_result_of(L, &tensor);
  *box = gpt_contiguous(bind_env(L), tensor);
  return bind_tensor_done(L, box);
}

/***
The same elements (the memory is shared), detached from the graph: no gradient flows through.
@function Tensor:detach
@treturn Tensor
@usage local x = gpt.ones(2):requires_grad(true)
print((x * 2):detach())
*/
static int detach(lua_State *L) {
  GptTensor *tensor, **box = bind_result_of(L, &tensor);
  *box = gpt_tensor_detach(bind_env(L), tensor);
  return bind_tensor_done(L, box);
}

/***
Writes the source's elements into this tensor, broadcast to its shape and converted to its dtype.
@function Tensor:copy
@tparam Tensor source
@treturn Tensor itself
@usage t:copy(gpt.ones(3))   -- into each row
*/
static int copy(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1), *source = bind_tensor(L, 2);
  GptEnv *env = bind_env(L);
  if (!gpt_check_writable(env, tensor, "copy") || !gpt_copy(env, tensor, source)) return bind_raise(L, env);
  lua_settop(L, 1);
  return 1;
}

static BindTensorList *push_all(lua_State *L, int index) {
  bind_check_type(L, index, LUA_TTABLE);
  lua_Integer n = luaL_len(L, index);
  BindTensorList *list = bind_push_tensor_list(L, n);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, index, i);
    bind_tensor_list_add(L, list, bind_tensor(L, -1));
    lua_pop(L, 1);
  }
  return list;
}

/* _copy_all(tensors, sources): copies each source into its tensor: all, or none where one cannot be. */
static int copy_all(lua_State *L) {
  BindTensorList *tensors = push_all(L, 1), *sources = push_all(L, 2);
  if (!(tensors->count == sources->count)) bind_argument_error(L, 2, "as many sources as tensors expected");
  bool done = gpt_copy_all(bind_env(L), tensors->count, tensors->items, sources->items);
  bind_tensor_list_drop(tensors);
  bind_tensor_list_drop(sources);
  return done ? 0 : bind_raise(L, bind_env(L));
}

/***
Writes one number everywhere.
@function Tensor:fill
@tparam number value
@treturn Tensor itself
@usage t:fill(0.5)
*/
static int fill(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  GptNumber value = bind_number(L, 2);
  GptEnv *env = bind_env(L);
  if (!gpt_check_writable(env, tensor, "fill") || !gpt_fill(env, tensor, value)) return bind_raise(L, env);
  lua_settop(L, 1);
  return 1;
}

/***
Returns, or sets, whether backward accumulates a gradient for this tensor.
@function Tensor:requires_grad
@tparam[opt] boolean wanted sets it; only for an f32 tensor that was not computed from others that require a gradient
@return itself if it was set; without an argument a boolean: does a gradient reach it?
@usage local w = gpt.randn(2, 2):requires_grad(true)
print(w:requires_grad())  --> true
*/
static int requires_grad(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  if (lua_isnone(L, 2)) {
    lua_pushboolean(L, gpt_tensor_wants_grad(tensor));
    return 1;
  }
  bind_check_type(L, 2, LUA_TBOOLEAN);
  bool wanted = lua_toboolean(L, 2);
  if (tensor->node != NULL)
    return bind_error(L,
                      "requires_grad: this tensor was computed from others that require a gradient; detach() it first");
  if (wanted && tensor->storage->dtype != GPT_F32)
    return bind_error(L, "requires_grad: only f32 tensors have gradients, this one is %s; float() it first",
                      gpt_dtype_name(tensor->storage->dtype));
  tensor->requires_grad = wanted;
  lua_settop(L, 1);
  return 1;
}

/***
Adds the gradient of this tensor, which holds one number, to the `grad` of every tensor it was computed from that
requires one.
@function Tensor:backward
@tparam[opt] table options `keep`: true keeps the graph, for another backward
@usage local w = gpt.randn(3):requires_grad(true)
local loss = (w * w):sum()
loss:backward()
print(w.grad)
*/
static int backward(lua_State *L) {
  static const char *const names[] = {"keep", NULL};
  GptTensor *tensor = bind_tensor(L, 1);
  GptEnv *env = bind_env(L);
  bool keep = false;
  if (!lua_isnoneornil(L, 2)) {
    bind_check_type(L, 2, LUA_TTABLE);
    bind_check_options(L, 2, "backward", names);
    lua_getfield(L, 2, "keep");
    keep = lua_toboolean(L, -1);
    tensor = bind_tensor(L, 1);
  }
  if (!gpt_backward(env, tensor, keep)) return bind_raise(L, env);
  bind_account(L, env);
  return 0;
}

const luaL_Reg bind_tensor_access[] = {{"item", item},
                                       {"totable", bind_tensor_totable},
                                       {"bytes", bytes},
                                       {"shape", shape},
                                       {"size", size_of},
                                       {"dim", dim},
                                       {"numel", numel},
                                       {"dtype", dtype},
                                       {"clone", clone},
                                       {"float", to_float},
                                       {"to", to},
                                       {"contiguous", contiguous},
                                       {"detach", detach},
                                       {"copy", copy},
                                       {"fill", fill},
                                       {"requires_grad", requires_grad},
                                       {"backward", backward},
                                       {NULL, NULL}};

/***
Calls a function without recording a graph, and returns its results. Its errors are raised unchanged, and recording
continues as before in any case. The function must not yield.
@function no_grad
@tparam function|Layer fn
@param ... its arguments
@return what fn returns
@usage local logits = gpt.no_grad(model, { 3, 1, 2 })
*/
static int no_grad(lua_State *L) {
  if (!lua_isfunction(L, 1) && luaL_getmetafield(L, 1, "__call") == LUA_TNIL)
    bind_argument_error(L, 1, lua_pushfstring(L, "a function, or a layer, expected, got %s", bind_typename(L, 1)));
  if (!lua_isfunction(L, 1)) lua_pop(L, 1);
  return bind_call_with(L, &bind_env(L)->recording, false);
}

const luaL_Reg bind_grad_functions[] = {{"no_grad", no_grad}, {"_copy_all", copy_all}, {NULL, NULL}};
