/*
 * GGUF files for the package's Lua side (lua/gpt/gguf.lua): metadata as Lua values, tensors by their number. Tables are
 * made here, because a vocabulary has a quarter of a million entries; no value of the user's refers to the file, so that
 * nothing can close it meanwhile.
 */
#include <string.h>

#include "binding/binding.h"
#include "binding/tensor.h"
#include "binding/text.h"
#include "core/tokenizer/gguf.h"

#define TYPE "gpt.Gguf"
#define MOST_PRESIZED ((uint64_t)1 << 24) /* elements of an array that Lua is told of beforehand */

/* _gguf_open(path) */
static int open_file(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *path = bind_path(L, 1);
  void **box = bind_push_box(L, TYPE, 0);
  *box = gpt_gguf_open(env, path);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int release_gguf(lua_State *L) {
  gpt_gguf_close(bind_take(L, TYPE));
  return 0;
}

/* gguf:close(): tensors that are views of the file keep what they need. */
static int close_file(lua_State *L) {
  bind_check_userdata(L, 1, TYPE);
  return bind_free(L);
}

static int file_path(lua_State *L) {
  const GptGguf *gguf = bind_check(L, 1, TYPE);
  lua_pushstring(L, gguf->file->path);
  return 1;
}

static void push_string(lua_State *L, const GptGgufValue *value) {
  lua_pushlstring(L, value->bytes, (size_t)value->count);
}

/* A u64 past 2^63 becomes a float, which holds 53 of its bits. */
static void push_gguf_number(lua_State *L, const GptGgufValue *value) {
  int64_t whole;
  double number;
  if (gpt_gguf_integer(value, &whole)) {
    lua_pushinteger(L, (lua_Integer)whole);
  } else {
    gpt_gguf_float(value, &number);
    lua_pushnumber(L, number);
  }
}

static void push_gguf_value(lua_State *L, const GptGgufValue *value);

static void push_gguf_array(lua_State *L, const GptGgufValue *array) {
  const char *at = array->bytes;
  luaL_checkstack(L, 4, "arrays too deep");
  lua_createtable(L, (int)(array->count < MOST_PRESIZED ? array->count : MOST_PRESIZED), 0);
  for (uint64_t i = 0; i < array->count; i++) {
    GptGgufValue item = gpt_gguf_next(array->item, &at);
    push_gguf_value(L, &item);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  bind_printed(L);
}

static void push_gguf_value(lua_State *L, const GptGgufValue *value) {
  if (value->type == GPT_GGUF_STRING) push_string(L, value);
  else if (value->type == GPT_GGUF_ARRAY) push_gguf_array(L, value);
  else if (value->type == GPT_GGUF_BOOL) lua_pushboolean(L, value->bytes[0]);
  else push_gguf_number(L, value);
}

/* gguf:value(key): nil where the file has no such key. */
static int gguf_value(lua_State *L) {
  const GptGguf *gguf = bind_check(L, 1, TYPE);
  const GptGgufValue *found = gpt_gguf_find(gguf, bind_check_string(L, 2));
  if (found == NULL) lua_pushnil(L);
  else push_gguf_value(L, found);
  return 1;
}

/* gguf:metadata(): all of it, by key. */
static int gguf_metadata(lua_State *L) {
  const GptGguf *gguf = bind_check(L, 1, TYPE);
  lua_createtable(L, 0, (int)gguf->key_count);
  for (size_t i = 0; i < gguf->key_count; i++) {
    push_string(L, &gguf->keys[i].name);
    push_gguf_value(L, &gguf->keys[i].value);
    lua_rawset(L, -3);
  }
  return 1;
}

static void push_shape(lua_State *L, const GptGgufTensor *tensor) {
  lua_createtable(L, tensor->ndim, 0);
  for (int d = 0; d < tensor->ndim; d++) {
    lua_pushinteger(L, (lua_Integer)tensor->shape[d]);
    lua_rawseti(L, -2, d + 1);
  }
}

/* gguf:tensors(): a list of { name =, encoding =, shape =, number = } in the file's order. */
static int gguf_tensors(lua_State *L) {
  const GptGguf *gguf = bind_check(L, 1, TYPE);
  lua_createtable(L, (int)gguf->tensor_count, 0);
  for (size_t i = 0; i < gguf->tensor_count; i++) {
    const GptGgufTensor *tensor = &gguf->tensors[i];
    lua_createtable(L, 0, 4);
    push_string(L, &tensor->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, tensor->encoding->name);
    lua_setfield(L, -2, "encoding");
    push_shape(L, tensor);
    lua_setfield(L, -2, "shape");
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_setfield(L, -2, "number");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* gguf:tensor(number, view): see gpt_gguf_tensor. */
static int gguf_tensor(lua_State *L) {
  GptEnv *env = bind_env(L);
  const GptGguf *gguf = bind_check(L, 1, TYPE);
  lua_Integer number = bind_check_integer(L, 2);
  if (!(number >= 1 && (size_t)number <= gguf->tensor_count)) bind_argument_error(L, 2, "a tensor's number expected");
  GptTensor **box = bind_new_tensor(L);
  gguf = bind_check(L, 1, TYPE);
  *box = gpt_gguf_tensor(env, gguf, (size_t)number - 1, lua_toboolean(L, 3));
  return bind_tensor_done(L, box);
}

/* gguf:tokenizer() */
static int gguf_tokenizer(lua_State *L) {
  GptEnv *env = bind_env(L);
  bind_check_userdata(L, 1, TYPE);
  void **box = bind_push_box(L, BIND_TOKENIZER, 0);
  const GptGguf *gguf = bind_check(L, 1, TYPE);
  *box = gpt_tokenizer_read_gguf(env, gguf);
  if (*box == NULL) return bind_raise(L, env);
  bind_account(L, env);
  return 1;
}

/* _gguf_tokenizer(tokenizer, size): its keys and values as bytes of a header, and how many keys; and why llama.cpp would
   get other ids, or nil. */
static int tokenizer_bytes(lua_State *L) {
  GptEnv *env = bind_env(L);
  lua_Integer size = bind_check_integer(L, 2);
  GptText *text = bind_push_text(L);
  const GptTokenizer *tokenizer = bind_check(L, 1, BIND_TOKENIZER);
  if (!(size >= (lua_Integer)gpt_tokenizer_size(tokenizer))) bind_argument_error(L, 2, "the tokenizer has more tokens");
  int keys = gpt_tokenizer_write_gguf(env, tokenizer, (size_t)size, text);
  bind_push_text_done(L, text);
  lua_pushinteger(L, keys);
  lua_pushstring(L, gpt_tokenizer_gguf_difference(bind_check(L, 1, BIND_TOKENIZER)));
  return 3;
}

/* _gguf_encodings(): { q8_0 = { number =, block =, bytes = }, ... } */
static int encodings(lua_State *L) {
  lua_newtable(L);
  for (uint32_t number = 0; number < GPT_GGUF_ENCODINGS; number++) {
    const GptGgufEncoding *encoding = gpt_gguf_encoding(number);
    if (encoding == NULL) continue;
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, number);
    lua_setfield(L, -2, "number");
    lua_pushinteger(L, encoding->block);
    lua_setfield(L, -2, "block");
    lua_pushinteger(L, encoding->bytes);
    lua_setfield(L, -2, "bytes");
    lua_setfield(L, -2, encoding->name);
  }
  return 1;
}

static const luaL_Reg functions[] = {{"_gguf_open", open_file}, {"_gguf_tokenizer", tokenizer_bytes},
                                     {"_gguf_encodings", encodings}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"value", gguf_value}, {"metadata", gguf_metadata}, {"tensors", gguf_tensors}, {"tensor", gguf_tensor},
                                   {"tokenizer", gguf_tokenizer}, {"close", close_file}, {NULL, NULL}};
static const luaL_Reg fields[] = {{"path", file_path}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", release_gguf}, {"__close", bind_free}, {NULL, NULL}};
static const BindType type = {.name = TYPE, .methods = methods, .fields = fields, .meta = meta};

void bind_open_gguf(lua_State *L) {
  bind_type(L, &type);
  bind_functions(L, functions);
}
