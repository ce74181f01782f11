#include "binding/ids.h"

#include <string.h>

#include "binding/tensor.h"

/* Copies the array of integers at index; row (from 1) is named in messages, 0: there is only one. */
static void copy_ids(lua_State *L, int index, lua_Integer row, int64_t *to, lua_Integer count) {
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, index, i);
    int whole;
    lua_Integer id = lua_tointegerx(L, -1, &whole);
    if (!whole || lua_type(L, -1) != LUA_TNUMBER) {
      const char *got = bind_word(L, -1);
      if (row > 0)
        bind_error(L, "token ids are integers: got %s (%s) at position %d of row %d", got, bind_typename(L, -2), (int)i,
                   (int)row);
      bind_error(L, "token ids are integers: got %s (%s) at position %d", got, bind_typename(L, -2), (int)i);
    }
    to[i - 1] = id;
    lua_pop(L, 1);
  }
}

const int64_t *bind_ids(lua_State *L, int index, int64_t *count) {
  index = lua_absindex(L, index);
  GptTensor *tensor = bind_test_tensor(L, index);
  if (tensor == NULL && !lua_istable(L, index)) bind_type_error(L, index, "an array of token ids");
  if (tensor != NULL && (tensor->ndim != 1 || tensor->storage->dtype != GPT_I64))
    bind_argument_error(L, index, "token ids in a tensor must be i64 of shape [tokens]");
  *count = tensor != NULL ? tensor->shape[0] : (int64_t)lua_rawlen(L, index);
  int64_t *ids = bind_scratch(L, *count, sizeof *ids);
  if (tensor != NULL) tensor = bind_tensor(L, index);
  if (tensor == NULL) copy_ids(L, index, 0, ids, *count);
  for (int64_t i = 0; tensor != NULL && i < *count; i++) ids[i] = gpt_integers(tensor)[i * tensor->stride[0]];
  return ids;
}

static lua_Integer row_length(lua_State *L, int index, lua_Integer row) {
  lua_rawgeti(L, index, row);
  if (!lua_istable(L, -1))
    bind_error(L, "row %d of the token ids is a %s; every row must be an array", (int)row, bind_typename(L, -1));
  lua_Integer length = (lua_Integer)lua_rawlen(L, -1);
  lua_pop(L, 1);
  return length;
}

/* The common length of all rows. */
static lua_Integer common_length(lua_State *L, int index, lua_Integer rows) {
  lua_Integer length = row_length(L, index, 1);
  for (lua_Integer i = 2; i <= rows; i++) {
    lua_Integer other = row_length(L, index, i);
    if (other != length)
      bind_error(L, "rows of token ids must be equally long: row 1 has %d, row %d has %d", (int)length, (int)i,
                 (int)other);
  }
  return length;
}

static lua_Integer longest_row(lua_State *L, int index, lua_Integer rows) {
  lua_Integer longest = 0;
  for (lua_Integer i = 1; i <= rows; i++) {
    lua_Integer length = row_length(L, index, i);
    if (length > longest) longest = length;
  }
  return longest;
}

static GptTensor *new_ids(lua_State *L, int ndim, const int64_t *shape) {
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_tensor_new(bind_env(L), GPT_I64, ndim, shape);
  bind_tensor_done(L, box);
  return *box;
}

static bool has_rows(lua_State *L, int index) {
  bool nested = lua_rawgeti(L, index, 1) == LUA_TTABLE;
  lua_pop(L, 1);
  return nested;
}

/* Copies the rows of the array at index, none longer than the tensor's, and fills up with pad behind them. */
static void copy_id_rows(lua_State *L, int index, const GptTensor *ids, int64_t pad) {
  lua_Integer rows = ids->shape[0], columns = ids->shape[1];
  for (lua_Integer i = 1; i <= rows; i++) {
    int64_t *to = gpt_integers(ids) + (i - 1) * columns;
    lua_Integer length = row_length(L, index, i); /* still a row? */
    if (length > columns) length = columns;
    lua_rawgeti(L, index, i);
    copy_ids(L, lua_gettop(L), i, to, length);
    while (length < columns) to[length++] = pad;
    lua_pop(L, 1);
  }
}

void bind_ids_tensor(lua_State *L, int index, bool batch) {
  lua_Integer rows = (lua_Integer)lua_rawlen(L, index);
  bool nested = has_rows(L, index);
  lua_Integer columns = nested ? common_length(L, index, rows) : rows;
  int64_t shape[2] = {nested ? rows : 1, columns};
  GptTensor *ids = nested || batch ? new_ids(L, 2, shape) : new_ids(L, 1, &shape[1]);
  if (nested) copy_id_rows(L, index, ids, 0);
  else copy_ids(L, index, 0, gpt_integers(ids), columns);
  lua_replace(L, index);
}

void bind_padded_ids(lua_State *L, int index, int64_t pad) {
  if (!lua_istable(L, index) || !has_rows(L, index)) return;
  lua_Integer rows = (lua_Integer)lua_rawlen(L, index);
  GptTensor *ids = new_ids(L, 2, (int64_t[]){rows, longest_row(L, index, rows)});
  copy_id_rows(L, index, ids, pad);
  lua_replace(L, index);
}

void bind_check_row_lengths(lua_State *L, int ids, int targets, const char *what) {
  if (!lua_istable(L, ids) || !lua_istable(L, targets) || !has_rows(L, ids) || !has_rows(L, targets)) return;
  lua_Integer rows = (lua_Integer)lua_rawlen(L, ids);
  if (rows != (lua_Integer)lua_rawlen(L, targets)) return; /* the shapes will tell */
  for (lua_Integer i = 1; i <= rows; i++) {
    lua_Integer first = row_length(L, ids, i), second = row_length(L, targets, i);
    if (first != second)
      bind_error(L, "%s: row %d has %d ids and %d targets", what, (int)i, (int)first, (int)second);
  }
}
