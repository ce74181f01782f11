/* Lists of token ids for the package's Lua side (gpt.dataset, gpt.write_tokens). Positions count from 0 here. */
#include "core/train/token_file.h"

#include "binding/ids.h"
#include "binding/tensor.h"
#include "core/train/shuffle.h"

#define TOKENS "gpt.Tokens"

/* _tokens(): an empty list; _tokens(path, width, map): the ids of a file, mapped or read into memory. */
static int new_tokens(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *path = lua_isnoneornil(L, 1) ? NULL : bind_path(L, 1);
  int width = (int)bind_opt_integer(L, 2, 4);
  if (!(width == 2 || width == 4)) bind_argument_error(L, 2, "2 or 4 expected");
  void **box = bind_push_box(L, TOKENS, 0);
  *box = path != NULL ? gpt_tokens_open(env, path, width, lua_toboolean(L, 3)) : gpt_tokens_new(env);
  if (*box == NULL) return bind_raise(L, env);
  bind_account(L, env);
  return 1;
}

static int tokens_collect(lua_State *L) {
  gpt_tokens_free(bind_take(L, TOKENS));
  return 0;
}

/* tokens:append(ids) */
static int tokens_append(lua_State *L) {
  int64_t count;
  GptTokens *tokens = bind_check(L, 1, TOKENS);
  if (!(!tokens->fixed)) bind_argument_error(L, 1, "a file's tokens do not grow");
  const int64_t *ids = bind_ids(L, 2, &count);
  tokens = bind_check(L, 1, TOKENS);
  if (!gpt_tokens_append(tokens, ids, count)) return bind_raise(L, bind_env(L));
  bind_account(L, bind_env(L));
  return 0;
}

static GptTensor *push_batch(lua_State *L, int64_t n, int64_t length) {
  int64_t shape[2] = {n, length};
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_tensor_new(bind_env(L), GPT_I64, 2, shape);
  bind_tensor_done(L, box);
  return *box;
}

/* tokens:windows(starts, length): ids and targets, see gpt_tokens_windows. */
static int windows(lua_State *L) {
  int64_t n;
  bind_check(L, 1, TOKENS);
  int64_t length = bind_check_integer(L, 3);
  const int64_t *starts = bind_ids(L, 2, &n);
  const GptTokens *tokens = bind_check(L, 1, TOKENS);
  if (!(length > 0)) bind_argument_error(L, 3, "a length expected");
  for (int64_t i = 0; i < n; i++)
    if (!(starts[i] >= 0 && starts[i] < tokens->count - length)) bind_argument_error(L, 2, "a window outside the tokens");
  GptTensor *ids = push_batch(L, n, length), *targets = push_batch(L, n, length);
  tokens = bind_check(L, 1, TOKENS);
  gpt_tokens_windows(tokens, starts, n, length, ids, targets);
  return 2;
}

static int count_field(lua_State *L) {
  lua_pushinteger(L, ((GptTokens *)bind_check(L, 1, TOKENS))->count);
  return 1;
}

/* _pack_ids(ids, width): a string as token files have it. */
static int pack_ids(lua_State *L) {
  int64_t count;
  int width = (int)bind_check_integer(L, 2);
  if (!(width == 2 || width == 4)) bind_argument_error(L, 2, "2 or 4 expected");
  const int64_t *ids = bind_ids(L, 1, &count);
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, (size_t)(count * width));
  if (!gpt_tokens_pack(bind_env(L), ids, count, width, (uint8_t *)out)) return bind_raise(L, bind_env(L));
  luaL_pushresultsize(&buffer, (size_t)(count * width));
  return 1;
}

/* _shuffled(i, n, seed, epoch): where number i of 0 .. n-1 stands in that epoch's order. */
static int shuffled(lua_State *L) {
  lua_Integer i = bind_check_integer(L, 1), n = bind_check_integer(L, 2);
  if (!(0 <= i && i < n)) bind_argument_error(L, 1, "a number below the second expected");
  uint64_t key = gpt_shuffle_key((uint64_t)bind_check_integer(L, 3), (uint64_t)bind_check_integer(L, 4));
  lua_pushinteger(L, (lua_Integer)gpt_shuffle((uint64_t)i, (uint64_t)n, key));
  return 1;
}

static const luaL_Reg functions[] = {
    {"_tokens", new_tokens}, {"_pack_ids", pack_ids}, {"_shuffled", shuffled}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"append", tokens_append}, {"windows", windows}, {NULL, NULL}};
static const luaL_Reg fields[] = {{"count", count_field}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", tokens_collect}, {"__close", bind_free}, {NULL, NULL}};
static const BindType type = {.name = TOKENS, .methods = methods, .fields = fields, .meta = meta};

void bind_open_tokens(lua_State *L) {
  bind_functions(L, functions);
  bind_type(L, &type);
}
