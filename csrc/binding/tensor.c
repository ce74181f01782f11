/* The type gpt.Tensor: its box, its life, and where its methods come together. */
#include "binding/tensor.h"

#include <string.h>

#include "core/ops/shape.h"
#include "core/ops/write.h"

#define MOST_METHODS 256

/***
Numbers in up to eight dimensions. Ops on tensors that require a gradient are recorded in a graph, for `backward`.

Dims and positions count from 1; -1 is the last. `t[i]` returns a view of a slice, `t[i] = v` writes to it; `+ - * / ^`
broadcast.
@classmod Tensor
@usage local t = gpt.tensor { { 1.0, 2.0 }, { 3.0, 4.0 } }
print(t[1], t * 2, t:sum(-1))
*/

GptTensor *bind_tensor(lua_State *L, int index) { return bind_check(L, index, BIND_TENSOR); }

GptTensor *bind_test_tensor(lua_State *L, int index) { return bind_test(L, index, BIND_TENSOR); }

GptTensor **bind_new_tensor(lua_State *L) { return (GptTensor **)bind_push_box(L, BIND_TENSOR, 0); }

GptTensor **bind_result_of(lua_State *L, GptTensor **x) {
  bind_tensor(L, 1);
  GptTensor **box = bind_new_tensor(L);
  *x = bind_tensor(L, 1);
  return box;
}

GptTensor **bind_result_of_two(lua_State *L, GptTensor **x, GptTensor **y) {
  bind_tensor(L, 1);
  bind_tensor(L, 2);
  GptTensor **box = bind_new_tensor(L);
  *x = bind_tensor(L, 1);
  *y = bind_tensor(L, 2);
  return box;
}

GptTensor *bind_hold_tensor(lua_State *L, int index) {
  index = lua_absindex(L, index);
  GptTensor **box = bind_new_tensor(L);
  return *box = gpt_tensor_retain(bind_tensor(L, index));
}

void bind_drop_tensor(lua_State *L, int index) {
  GptTensor **box = lua_touserdata(L, index), *tensor = *box;
  *box = NULL;
  gpt_tensor_release(tensor);
}

int bind_tensor_done(lua_State *L, GptTensor **box) {
  GptEnv *env = bind_env(L);
  if (*box == NULL) return bind_raise(L, env);
  bind_account(L, env);
  return 1;
}

void bind_share_tensor(lua_State *L, GptTensor *borrowed) {
  if (borrowed == NULL) {
    lua_pushnil(L);
    return;
  }
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_tensor_retain(borrowed);
}

/* __gc, __close and free: the box lets go of its tensor; what others still use stays. */
static int tensor_collect(lua_State *L) {
  gpt_tensor_release(bind_take(L, BIND_TENSOR));
  return 0;
}

/***
Frees the tensor's memory at once, without waiting for the collector. Views of it, and a graph that needs it, keep what
they use. Any later use of this value raises an error; freeing it twice does not.
@function Tensor:free
@usage t:free()
*/
static int free_tensor(lua_State *L) {
  bind_check_userdata(L, 1, BIND_TENSOR);
  return bind_free(L);
}

static const luaL_Reg life[] = {{"free", free_tensor}, {NULL, NULL}};

/***
The gradient that backward accumulated, of the tensor's shape; nil if there is none. `t.grad = nil` drops it, `t.grad =
other` sets it.
@tfield Tensor|nil Tensor.grad
@usage local w = gpt.tensor({ 1.0, 2.0 }, { requires_grad = true })
local loss = (w * w):sum()
loss:backward()
print(w.grad)   --> 2 4
*/
static int get_grad(lua_State *L) {
  GptTensor *tensor, **box = bind_result_of(L, &tensor);
  *box = gpt_tensor_retain(tensor->grad);
  if (*box == NULL) lua_pushnil(L);
  return 1;
}

static void set_grad(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1), *grad = lua_isnil(L, 3) ? NULL : bind_test_tensor(L, 3);
  char own[GPT_SHAPE_TEXT], came[GPT_SHAPE_TEXT];
  if (grad == NULL && !lua_isnil(L, 3)) bind_error(L, "grad: nil or a tensor expected, got %s", bind_typename(L, 3));
  if (grad != NULL && (!gpt_same_shape(tensor, grad) || grad->storage->dtype != GPT_F32))
    bind_error(L, "grad: an f32 tensor of shape %s expected, got %s of shape %s", gpt_tensor_shape_text(tensor, own),
               gpt_dtype_name(grad->storage->dtype), gpt_tensor_shape_text(grad, came));
  if (grad != NULL) {
    GptEnv *env = bind_env(L);
    GptTensor **box = bind_new_tensor(L);
    *box = gpt_tensor_copy(env, bind_tensor(L, 3));
    bind_tensor_done(L, box);
    tensor = bind_tensor(L, 1);
    grad = *box;
    *box = NULL;
  }
  if (!gpt_tensor_set_grad(tensor, grad)) bind_raise(L, bind_env(L));
}

/* t[i] = value, a number or a tensor that broadcasts to t[i]. */
static void set_element(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptTensor *tensor, *source = bind_test_tensor(L, 3);
  if (source == NULL && lua_type(L, 3) != LUA_TNUMBER)
    bind_error(L, "t[i] = v: a number or a tensor expected, got %s", bind_typename(L, 3));
  GptNumber number = source == NULL ? bind_number(L, 3) : (GptNumber){0, 0};
  int64_t position = bind_element(L, bind_tensor(L, 1), lua_tointeger(L, 2));
  GptTensor **box = bind_result_of(L, &tensor);
  if (source != NULL) source = bind_tensor(L, 3);
  if (!gpt_check_writable(env, tensor, "t[i] = v")) bind_raise(L, env);
  *box = gpt_select(env, tensor, 0, position);
  bool done = *box != NULL && (source != NULL ? gpt_copy(env, *box, source) : gpt_fill(env, *box, number));
  if (!done) bind_raise(L, env);
}

static int tensor_new_index(lua_State *L) {
  bind_tensor(L, 1);
  lua_settop(L, 3);
  if (lua_isinteger(L, 2)) set_element(L);
  else if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "grad") == 0) set_grad(L);
  else
    bind_error(L, "a gpt.Tensor has no field '%s' to set; t[i] = v writes elements, t.grad the gradient",
               bind_word(L, 2));
  return 0;
}

/***
`#t`: the size of the first dimension.
@function Tensor:__len
@usage print(#gpt.zeros(2, 3))  --> 2
*/
static int tensor_length(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  if (tensor->ndim == 0) return bind_error(L, "#t: a tensor without dimensions has no length; t:item() is its number");
  lua_pushinteger(L, tensor->shape[0]);
  return 1;
}

/* t[i] */
static int element(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  int64_t position = bind_element(L, tensor, lua_tointeger(L, 2));
  GptTensor **box = bind_result_of(L, &tensor);
  *box = gpt_select(bind_env(L), tensor, 0, position);
  return bind_tensor_done(L, box);
}

/* a < b and the like: Lua makes a boolean of whatever they return, so they cannot compare element by element. */
static int refuse_order(lua_State *L) {
  return bind_error(L, "tensors are compared by methods, element by element: "
                       "a:lt(b), a:le(b), a:gt(b), a:ge(b), a:eq(b)");
}

static int refuse_concat(lua_State *L) {
  return bind_error(L, "a gpt.Tensor is no string: tostring(t), or t:item() for the number in a tensor of one element");
}

/* t(i), and "for row in t do" */
static int refuse_call(lua_State *L) {
  return bind_error(L, "a gpt.Tensor cannot be called: t[i] is its slice at i; a loop over all: for i = 1, #t do");
}

static const luaL_Reg fields[] = {{"grad", get_grad}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", tensor_collect},
                                {"__close", free_tensor},
                                {"__tostring", bind_tensor_print},
                                {"__newindex", tensor_new_index},
                                {"__len", tensor_length},
                                {"__lt", refuse_order},
                                {"__le", refuse_order},
                                {"__concat", refuse_concat},
                                {"__call", refuse_call},
                                {NULL, NULL}};

/* Several lists as one. */
static void join_lists(luaL_Reg *all, const luaL_Reg *const *lists) {
  size_t count = 0;
  for (; *lists != NULL; lists++)
    for (const luaL_Reg *entry = *lists; entry->name != NULL && count < MOST_METHODS - 1; entry++)
      all[count++] = *entry;
  all[count] = (luaL_Reg){NULL, NULL};
}

void bind_open_tensor(lua_State *L) {
  luaL_Reg methods[MOST_METHODS], metamethods[MOST_METHODS];
  join_lists(methods, (const luaL_Reg *const[]){life, bind_tensor_access, bind_tensor_shape, bind_tensor_index,
                                                bind_tensor_math, bind_tensor_reduce, NULL});
  join_lists(metamethods, (const luaL_Reg *const[]){meta, bind_tensor_operators, NULL});
  bind_type(L, &(BindType){
                   .name = BIND_TENSOR, .methods = methods, .fields = fields, .meta = metamethods, .element = element});
  bind_functions(L, bind_making_functions);
  bind_functions(L, bind_shape_functions);
  bind_functions(L, bind_grad_functions);
  bind_functions(L, bind_math_functions);
}
