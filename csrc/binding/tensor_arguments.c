/* Arguments that many functions of tensors share: dims, positions, shapes, numbers, options. */
#include "binding/tensor.h"

#include <string.h>

#include "core/base/hints.h"
#include "core/base/suggest.h"

int bind_dim(lua_State *L, int index, int ndim) {
  if (lua_isnoneornil(L, index))
    bind_argument_error(L, index, lua_pushfstring(L, "a dim expected (1..%d, or -1 for the last), got %s", ndim,
                                            bind_typename(L, index)));
  lua_Integer dim = bind_check_integer(L, index);
  if (dim >= 1 && dim <= ndim) return (int)dim - 1;
  if (dim < 0 && dim >= -ndim) return (int)(ndim + dim);
  if (ndim == 0) return bind_argument_error(L, index, "a tensor without dimensions has no dims to name");
  return bind_argument_error(
      L, index,
      lua_pushfstring(L, "dim %I out of range: the tensor has %d, counted 1..%d, or -1 for the last", dim, ndim, ndim));
}

int bind_opt_dim(lua_State *L, int index, int ndim, int otherwise) {
  return lua_isnoneornil(L, index) ? otherwise : bind_dim(L, index, ndim);
}

int64_t bind_position(lua_State *L, int index, int64_t size) {
  lua_Integer position = bind_check_integer(L, index);
  if (position >= 1 && position <= size) return position - 1;
  if (position < 0 && position >= -size) return size + position;
  return bind_argument_error(L, index, lua_pushfstring(L, "position %I out of range 1..%I", position, (lua_Integer)size));
}

int64_t bind_element(lua_State *L, const GptTensor *tensor, int64_t position) {
  char text[GPT_SHAPE_TEXT];
  if (tensor->ndim == 0)
    return bind_error(L, "t[i]: a tensor without dimensions has no elements to index; t:item() is its number");
  if (position >= 1 && position <= tensor->shape[0]) return position - 1;
  if (position < 0 && position >= -tensor->shape[0]) return tensor->shape[0] + position;
  const char *advice = position == tensor->shape[0] + 1 ? "; a loop over all: for i = 1, #t do" : ""; /* as of ipairs */
  return bind_error(L, "t[i]: position %lld out of range 1..%lld (shape %s)%s", (long long)position,
                    (long long)tensor->shape[0], gpt_tensor_shape_text(tensor, text), advice);
}

/* The value on top of the stack as a size; place: which one, for the message. */
static int64_t check_dim_size(lua_State *L, int index, int place) {
  int whole;
  lua_Integer size = lua_tointegerx(L, -1, &whole);
  if (lua_type(L, -1) == LUA_TNUMBER && whole) return size;
  const char *came = bind_shown(L, -1);
  return bind_argument_error(L, index,
                       lua_pushfstring(L, "size %d of the shape: a whole number expected, got %s", place, came));
}

static void check_argument_count(lua_State *L, int index, lua_Integer count) {
  if (count > GPT_MAX_DIMS)
    bind_argument_error(L, index, lua_pushfstring(L, "a tensor has at most %d dimensions, got %I", GPT_MAX_DIMS, count));
}

int bind_shape(lua_State *L, int first, int64_t *shape, int *ndim) {
  lua_Integer count = 0;
  bool array = lua_istable(L, first);
  if (array) count = (lua_Integer)lua_rawlen(L, first);
  else if (lua_isnoneornil(L, first))
    bind_argument_error(L, first, "a shape expected, as numbers or as one array, got no value");
  else
    while (!lua_isnone(L, first + (int)count) && !lua_istable(L, first + (int)count)) count++;
  check_argument_count(L, first, count);
  for (int d = 0; d < count; d++) {
    if (array) lua_rawgeti(L, first, d + 1);
    else lua_pushvalue(L, first + d);
    shape[d] = check_dim_size(L, array ? first : first + d, d + 1);
    lua_pop(L, 1);
  }
  *ndim = (int)count;
  return array ? first + 1 : first + (int)count;
}

int bind_one_shape(lua_State *L, int index, int64_t *shape) {
  int ndim = 1;
  if (lua_istable(L, index)) {
    bind_shape(L, index, shape, &ndim);
    return ndim;
  }
  if (lua_isnoneornil(L, index)) bind_argument_error(L, index, "a shape expected, as one array or one size, got no value");
  lua_pushvalue(L, index);
  shape[0] = check_dim_size(L, index, 1);
  lua_pop(L, 1);
  return ndim;
}

GptNumber bind_number(lua_State *L, int index) {
  double number = bind_check_number(L, index);
  GptNumber value = {.number = number};
  if (lua_isinteger(L, index)) value.integer = lua_tointeger(L, index);
  else if (number >= -0x1p63 && number < 0x1p63) value.integer = (int64_t)number;
  return value;
}

/* What others call the dtypes. */
static const struct {
  const char *name;
  GptDtype dtype;
} foreign[] = {{"float", GPT_F32},   {"float32", GPT_F32}, {"float16", GPT_F16},   {"half", GPT_F16}, {"fp16", GPT_F16},
               {"fp32", GPT_F32},    {"f64", GPT_F32},      {"float64", GPT_F32}, {"double", GPT_F32},
                  {"int64", GPT_I64},   {"long", GPT_I64},      {"int", GPT_I64},  {"int8", GPT_Q8_0},
               {"bfloat16", GPT_BF16}, {"q8", GPT_Q8_0},   {"q4", GPT_Q4_0}};

static const char *near_dtype(const char *name) {
  const char *names[GPT_DTYPES];
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (strcmp(name, foreign[i].name) == 0) return gpt_dtype_name(foreign[i].dtype);
  for (int i = 0; i < GPT_DTYPES; i++) names[i] = gpt_dtype_name((GptDtype)i);
  return gpt_suggest(name, names, GPT_DTYPES);
}

const char *bind_no_dtype(lua_State *L, const char *name) {
  char hint[GPT_HINT_SIZE];
  const char *near = near_dtype(name);
  lua_pushstring(L, name);
  name = bind_word(L, -1);
  if (gpt_hint(name, NULL, 0, hint)[0] != '\0') return lua_pushfstring(L, "there is no dtype '%s'%s", name, hint);
  if (near != NULL) return lua_pushfstring(L, "there is no dtype '%s'; did you mean '%s'?", name, near);
  lua_pushfstring(L, "there is no dtype '%s'; there are %s", name, gpt_dtype_name((GptDtype)0));
  for (int i = 1; i < GPT_DTYPES; i++) {
    lua_pushfstring(L, i < GPT_DTYPES - 1 ? ", %s" : " and %s", gpt_dtype_name((GptDtype)i));
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

GptDtype bind_dtype(lua_State *L, int index) {
  const char *name = bind_opt_string(L, index, gpt_dtype_name(GPT_F32));
  GptDtype dtype;
  if (gpt_dtype_find(name, &dtype)) return dtype;
  return (GptDtype)bind_argument_error(L, index, bind_no_dtype(L, name));
}

/* The value on top of the stack as a dtype. */
static GptDtype dtype_option(lua_State *L, const char *what) {
  const char *name = bind_word(L, -1);
  GptDtype dtype;
  if (gpt_dtype_find(name, &dtype)) return lua_pop(L, 1), dtype;
  return (GptDtype)bind_error(L, "%s: dtype: %s", what, bind_no_dtype(L, name));
}

void bind_making_options(lua_State *L, int index, const char *what, BindMaking *options) {
  static const char *const names[] = {"dtype", "requires_grad", NULL};
  if (lua_isnoneornil(L, index)) return;
  bind_check_type(L, index, LUA_TTABLE);
  bind_check_options(L, index, what, names);
  lua_getfield(L, index, "dtype");
  options->dtype_given = !lua_isnil(L, -1);
  if (options->dtype_given) options->dtype = dtype_option(L, what);
  lua_getfield(L, index, "requires_grad");
  options->requires_grad = lua_toboolean(L, -1);
  lua_pop(L, 2);
}

int bind_made(lua_State *L, GptTensor **box, const char *what, const BindMaking *options) {
  bind_tensor_done(L, box);
  if (options->requires_grad && (*box)->storage->dtype != GPT_F32)
    return bind_error(L, "%s: requires_grad: only f32 tensors have gradients, this one is %s", what,
                      gpt_dtype_name((*box)->storage->dtype));
  (*box)->requires_grad = options->requires_grad;
  return 1;
}
