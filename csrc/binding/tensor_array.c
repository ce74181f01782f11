/* Nested arrays of Lua into tensors, and tensors into nested arrays. */
#include <stdio.h>

#include "binding/tensor.h"
#include "core/base/array.h"
#include "core/base/memory.h"

/* A walk over a nested array: what was found so far, and where the walk is. */
typedef struct Nested {
  int ndim;
  int64_t shape[GPT_MAX_DIMS];
  int64_t place[GPT_MAX_DIMS]; /* from 1 */
  int depth;                   /* how many of place hold */
  bool has_float, has_integer;
  GptTensor *tensor; /* what the numbers go into; NULL while looking */
  int64_t next;      /* the element they go to */
} Nested;

/* "[2][3]", where the walk is; GPT_SHAPE_TEXT bytes. */
static const char *place_text(const Nested *walk, char *text) {
  size_t at = 0;
  text[0] = '\0';
  for (int d = 0; d < walk->depth; d++)
    at += (size_t)snprintf(text + at, GPT_SHAPE_TEXT - at, "[%lld]", (long long)walk->place[d]);
  return text;
}

/* Raises: what came (on top of the stack) is not what was wanted here. */
static void wrong_value(lua_State *L, const Nested *walk, const char *wanted) {
  char place[GPT_SHAPE_TEXT];
  const char *came = bind_shown(L, -1);
  const char *where = walk->depth > 0 ? lua_pushfstring(L, "element %s: ", place_text(walk, place)) : "";
  bind_argument_error(L, 1, lua_pushfstring(L, "%s%s expected, got %s", where, wanted, came));
}

/* The shape, told from the first element of each array. */
static void find_shape(lua_State *L, Nested *walk) {
  int top = lua_gettop(L);
  luaL_checkstack(L, GPT_MAX_DIMS + 4, NULL);
  lua_pushvalue(L, 1);
  while (lua_istable(L, -1)) {
    if (walk->ndim == GPT_MAX_DIMS)
      bind_argument_error(
          L, 1,
          lua_pushfstring(L, "a tensor has at most %d dimensions, and these arrays are nested deeper", GPT_MAX_DIMS));
    int64_t size = luaL_len(L, -1);
    walk->shape[walk->ndim++] = size;
    if (size == 0) break;
    lua_geti(L, -1, 1);
  }
  lua_settop(L, top);
}

/* A length may be what a metamethod says: what no memory could hold is refused before anything is read. */
static void check_numbers(lua_State *L, const Nested *walk) {
  size_t bytes = sizeof(float);
  for (int d = 0; d < walk->ndim; d++) {
    if (walk->shape[d] < 0) bind_argument_error(L, 1, lua_pushfstring(L, "an array says that it has %I elements",
                                                                (lua_Integer)walk->shape[d]));
    bytes = gpt_size_multiply(bytes, (size_t)walk->shape[d]);
  }
  if (!gpt_memory_fits(bind_env(L), bytes < SIZE_MAX / 2 ? bytes : SIZE_MAX / 2)) bind_raise(L, bind_env(L));
}

/* The array on top of the stack must have the length found first at its depth, and no other keys. */
static void check_array(lua_State *L, const Nested *walk) {
  char text[GPT_SHAPE_TEXT];
  int64_t size = walk->shape[walk->depth], came = luaL_len(L, -1);
  const char *at = walk->depth > 0 ? " at " : "";
  place_text(walk, text);
  if (came != size)
    bind_argument_error(L, 1,
                  lua_pushfstring(L, "the array%s%s has %I elements, the first one at its depth has %I", at, text,
                                  (lua_Integer)came, (lua_Integer)size));
  if (lua_getmetatable(L, -1)) { /* its elements may be made as they are read */
    lua_pop(L, 1);
    return;
  }
  if (size > 0) lua_pushinteger(L, size);
  else lua_pushnil(L);
  while (lua_next(L, -2) != 0) { /* behind the last element there should be nothing */
    lua_pop(L, 1);
    if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= size) continue;
    const char *key = bind_word(L, -1);
    bind_argument_error(
        L, 1,
        lua_pushfstring(
            L, "the array%s%s has %I elements and a key '%s' beside them: an array without holes or names expected", at,
            text, (lua_Integer)size, key));
  }
}

static void take_number(lua_State *L, Nested *walk) {
  if (lua_type(L, -1) != LUA_TNUMBER) wrong_value(L, walk, "a number");
  if (lua_isinteger(L, -1)) walk->has_integer = true;
  else walk->has_float = true;
  if (walk->tensor == NULL) return;
  if (walk->tensor->storage->dtype != GPT_I64) {
    gpt_floats(walk->tensor)[walk->next++] = (float)lua_tonumber(L, -1);
    return;
  }
  int exact;
  gpt_integers(walk->tensor)[walk->next++] = lua_tointegerx(L, -1, &exact);
  if (!exact) wrong_value(L, walk, "a whole number, for dtype i64,");
}

/* Visits the value on top of the stack and everything in it. */
static void visit(lua_State *L, Nested *walk) {
  if (walk->depth == walk->ndim) {
    take_number(L, walk);
    return;
  }
  if (!lua_istable(L, -1)) wrong_value(L, walk, "an array");
  if (walk->tensor == NULL) check_array(L, walk);
  int depth = walk->depth++;
  for (int64_t i = 1; i <= walk->shape[depth]; i++) {
    walk->place[depth] = i;
    lua_geti(L, -1, i);
    visit(L, walk);
    lua_pop(L, 1);
  }
  walk->depth = depth;
}

/***
A tensor from numbers: one number, an array, or arrays in arrays, equally long at each depth. Integers alone (Lua's
integer subtype) make an i64 tensor; any float makes it f32, and so does an empty array. `dtype` overrides that.
@function tensor
@param nested a number, or nested arrays of numbers
@tparam[opt] table options `dtype` (as in from_bytes, but those that end in k), `requires_grad`
@treturn Tensor
@usage gpt.tensor {{1, 2}, {3, 4}}          -- i64 [2, 2]
gpt.tensor({0.5, 1}, {requires_grad = true})  -- f32 [2]
*/
int bind_tensor_of(lua_State *L) {
  Nested walk = {.ndim = 0};
  BindMaking options = {.dtype = GPT_F32};
  if (!lua_istable(L, 1) && lua_type(L, 1) != LUA_TNUMBER) return bind_type_error(L, 1, "number or array of numbers");
  bind_making_options(L, 2, "tensor", &options);
  lua_settop(L, 1);
  find_shape(L, &walk);
  check_numbers(L, &walk);
  visit(L, &walk);
  if (!options.dtype_given) options.dtype = walk.has_integer && !walk.has_float ? GPT_I64 : GPT_F32;
  GptTensor **box = bind_new_tensor(L);
  walk.tensor = *box =
      gpt_tensor_new(bind_env(L), options.dtype == GPT_I64 ? GPT_I64 : GPT_F32, walk.ndim, walk.shape);
  if (*box == NULL) return bind_raise(L, bind_env(L));
  lua_pushvalue(L, 1);
  visit(L, &walk);
  lua_pop(L, 1);
  if (options.dtype != (*box)->storage->dtype) {
    lua_replace(L, 1); /* the numbers as floats, until they are converted */
    box = bind_new_tensor(L);
    *box = gpt_tensor_convert(bind_env(L), walk.tensor, options.dtype);
  }
  return bind_made(L, box, "tensor", &options);
}

static void push_number(lua_State *L, const GptTensor *tensor, int64_t at) {
  if (tensor->storage->dtype == GPT_I64) lua_pushinteger(L, gpt_integers(tensor)[at]);
  else lua_pushnumber(L, (lua_Number)gpt_tensor_float_at(tensor, at));
}

static void push_array(lua_State *L, const GptTensor *tensor, int dim, int64_t at) {
  if (dim == tensor->ndim) {
    push_number(L, tensor, at);
    return;
  }
  int64_t size = tensor->shape[dim];
  lua_createtable(L, size < 0x7fffffff ? (int)size : 0, 0);
  for (int64_t i = 0; i < size; i++) {
    push_array(L, tensor, dim + 1, at + i * tensor->stride[dim]);
    lua_rawseti(L, -2, i + 1);
  }
}

/***
The elements as nested arrays; of a tensor without dimensions, its number.
@function Tensor:totable
@treturn table
@usage for i, row in ipairs(t:totable()) do print(i, row[1]) end
*/
int bind_tensor_totable(lua_State *L) {
  luaL_checkstack(L, 2 * GPT_MAX_DIMS, NULL);
  const GptTensor *tensor = bind_hold_tensor(L, 1);
  int held = lua_gettop(L);
  push_array(L, tensor, 0, 0);
  bind_drop_tensor(L, held);
  if (lua_istable(L, -1)) bind_printed(L);
  return 1;
}
