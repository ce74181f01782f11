/* The processes that work together: what gpt.world returns (lua/gpt/world.lua). */
#include "binding/world.h"

#include <stdlib.h>
#include <string.h>

#include "binding/tensor.h"
#include "core/base/digest.h"
#include "core/ops/write.h"

/***
The processes that mpirun started, or this one alone; made by `gpt.world()`. Every rank makes the same calls in the same
order.
@classmod World
*/

static GptWorld *check_world(lua_State *L) { return bind_check(L, 1, BIND_WORLD); }

/* _world([transport]): what gpt/mpi.so returned; alone without. */
static int new_world(lua_State *L) {
  GptEnv *env = bind_env(L);
  const GptTransport **transport = lua_isnoneornil(L, 1) ? NULL : bind_check_userdata(L, 1, GPT_TRANSPORT_TYPE);
  void **box = bind_push_box(L, BIND_WORLD, 0);
  *box = gpt_world_new(env, transport != NULL ? *transport : NULL);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int world_collect(lua_State *L) {
  gpt_world_free(bind_take(L, BIND_WORLD));
  return 0;
}

/***
The number of this process, from 0 as in MPI.
@tfield integer World.rank
*/
static int get_rank(lua_State *L) {
  lua_pushinteger(L, check_world(L)->rank);
  return 1;
}

/***
How many processes there are.
@tfield integer World.size
*/
static int get_size(lua_State *L) {
  lua_pushinteger(L, check_world(L)->size);
  return 1;
}

/* Raises the core's error unless done; returns the tensor at 2. */
static int tensor_or_raise(lua_State *L, bool done) {
  if (!done) return bind_raise(L, bind_env(L));
  lua_settop(L, 2);
  return 1;
}

/***
Adds up a tensor over all ranks, in place. Every rank gets the same bits: each number is summed in the order of the ranks.
@function World:all_reduce
@tparam Tensor t of f32 or i64, with the same shape on every rank
@treturn Tensor t itself
@raise on all ranks if shapes, dtypes or calls differ, with the rank that does
@usage local t = gpt.ones(3)
gpt.world():all_reduce(t)   -- 2 everywhere on two ranks, still 1 alone
*/
static int all_reduce(lua_State *L) {
  check_world(L);
  GptTensor *tensor = bind_tensor(L, 2);
  GptWorld *world = check_world(L);
  return tensor_or_raise(L, gpt_check_writable(world->env, tensor, "all_reduce") && gpt_world_all_reduce(world, tensor));
}

/***
Copies a tensor of one rank to all others, in place.
@function World:broadcast
@tparam Tensor t of any dtype, with the same shape on every rank
@tparam[opt=0] integer root the rank that has the values
@treturn Tensor t itself
@usage gpt.world():broadcast(gpt.rand(3))   -- now the same on every rank
*/
static int world_broadcast(lua_State *L) {
  lua_Integer root = bind_opt_integer(L, 3, 0);
  GptTensor *tensor = bind_tensor(L, 2);
  GptWorld *world = check_world(L);
  int rank = root < 0 || root >= world->size ? -1 : (int)root;
  if (rank < 0)
    return bind_argument_error(L, 3, lua_pushfstring(L, "a rank from 0 to %d expected, got %I", world->size - 1,
                                               (LUAI_UACINT)root));
  return tensor_or_raise(L, gpt_check_writable(world->env, tensor, "broadcast") &&
                                gpt_world_broadcast(world, tensor, rank));
}

/***
Waits until all ranks are here.
@function World:barrier
@usage gpt.world():barrier()
*/
static int barrier(lua_State *L) {
  if (!gpt_world_barrier(check_world(L))) return bind_raise(L, bind_env(L));
  return 0;
}

static int world_print(lua_State *L) {
  const GptWorld *world = check_world(L);
  if (world->size == 1) lua_pushliteral(L, "World { one process }");
  else lua_pushfstring(L, "World { rank %d of %d }", world->rank, world->size);
  return 1;
}

/* The bytes at `own`, of that size on every rank, gathered: pushes memory of Lua's with those of all ranks. */
static char *gather_bytes(lua_State *L, const void *own, size_t bytes) {
  char *all = bind_scratch(L, check_world(L)->size, bytes);
  if (!gpt_world_gather(check_world(L), own, bytes, all)) bind_raise(L, bind_env(L));
  return all;
}

/* _world_numbers(world, list): a list with the lists of all ranks, by rank (from 1 here); equally long ones. */
static int gather_numbers(lua_State *L) {
  bind_check_type(L, 2, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  double *own = bind_scratch(L, n, sizeof *own);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    own[i] = bind_check_number(L, -1);
    lua_pop(L, 1);
  }
  const double *all = (const double *)gather_bytes(L, own, (size_t)n * sizeof *own);
  int size = check_world(L)->size;
  lua_createtable(L, size, 0);
  for (int r = 0; r < size; r++) {
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 0; i < n; i++) {
      lua_pushnumber(L, all[r * n + i]);
      lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, -2, r + 1);
  }
  return 1;
}

/* _world_texts(world, text): a list with the texts of all ranks, by rank (from 1 here). */
static int gather_texts(lua_State *L) {
  size_t length, most = 0;
  const char *text = bind_check_bytes(L, 2, &length);
  uint64_t own = length;
  const uint64_t *lengths = (const uint64_t *)gather_bytes(L, &own, sizeof own);
  int size = check_world(L)->size;
  for (int r = 0; r < size; r++)
    if (lengths[r] > most) most = (size_t)lengths[r];
  char *padded = bind_scratch(L, 1, most);
  memset(padded, 0, most);
  memcpy(padded, text, length);
  const char *all = gather_bytes(L, padded, most);
  lua_createtable(L, size, 0);
  for (int r = 0; r < size; r++) {
    lua_pushlstring(L, all + (size_t)r * most, (size_t)lengths[r]);
    lua_rawseti(L, -2, r + 1);
  }
  return 1;
}

/* _world_whole_shape(world, part): that of the parts of all ranks, one after the other along the first dimension; a part
   without dimensions is the whole. */
static int whole_shape(lua_State *L) {
  const GptTensor *part = bind_tensor(L, 2);
  int64_t own[1 + GPT_MAX_DIMS] = {part->ndim}, rows = 0;
  memcpy(own + 1, part->shape, sizeof part->shape);
  int64_t(*all)[1 + GPT_MAX_DIMS] = (void *)gather_bytes(L, own, sizeof own);
  int size = check_world(L)->size, ndim = (int)own[0];
  for (int r = 0; r < size; r++) {
    rows += all[r][1];
    if (all[r][0] == 0) ndim = 0;
  }
  lua_createtable(L, ndim, 0);
  for (int d = 0; d < ndim; d++) {
    lua_pushinteger(L, d == 0 ? rows : own[1 + d]);
    lua_rawseti(L, -2, d + 1);
  }
  return 1;
}

/* _world_whole(world, part, shape, everywhere): the parts of all ranks as one tensor of that shape, on rank 0 or
   everywhere; nil elsewhere. */
static int whole_tensor(lua_State *L) {
  int64_t shape[GPT_MAX_DIMS];
  int ndim = bind_one_shape(L, 3, shape);
  bool everywhere = lua_toboolean(L, 4);
  GptTensor **box = bind_new_tensor(L);
  const GptTensor *part = bind_tensor(L, 2);
  GptWorld *world = check_world(L);
  bool gets = everywhere || world->rank == 0;
  if (gets) *box = gpt_tensor_new(world->env, part->storage->dtype, ndim, shape);
  if ((gets && *box == NULL) || !gpt_world_join(world, part, *box, everywhere)) return bind_raise(L, world->env);
  if (gets) return bind_tensor_done(L, box);
  lua_pushnil(L);
  return 1;
}

/* _digest(tensor): a number that another content hardly has. */
static int digest(lua_State *L) {
  GptTensor *tensor = bind_hold_tensor(L, 1), *plain = gpt_tensor_as_contiguous(bind_env(L), tensor);
  if (plain == NULL) return bind_raise(L, bind_env(L));
  size_t bytes = gpt_dtype_bytes(plain->storage->dtype, gpt_tensor_numel(plain));
  uint64_t number = gpt_digest(gpt_tensor_data(plain), bytes);
  gpt_tensor_release(plain);
  bind_drop_tensor(L, -1);
  lua_pushinteger(L, (lua_Integer)number);
  return 1;
}

/* _world_abort(world): ends the processes of all ranks, this one included. */
static int abort_world(lua_State *L) {
  const GptWorld *world = check_world(L);
  if (world->transport != NULL) world->transport->abort(EXIT_FAILURE);
  return 0;
}

static const luaL_Reg functions[] = {{"_world", new_world},
                                     {"_world_numbers", gather_numbers},
                                     {"_world_texts", gather_texts},
                                     {"_world_abort", abort_world},
                                     {"_world_whole_shape", whole_shape},
                                     {"_world_whole", whole_tensor},
                                     {"_digest", digest},
                                     {NULL, NULL}};
static const luaL_Reg methods[] = {
    {"all_reduce", all_reduce}, {"broadcast", world_broadcast}, {"barrier", barrier}, {NULL, NULL}};
static const luaL_Reg fields[] = {{"rank", get_rank}, {"size", get_size}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", world_collect}, {"__tostring", world_print}, {NULL, NULL}};
static const BindType type = {.name = BIND_WORLD, .methods = methods, .fields = fields, .meta = meta};

void bind_open_world(lua_State *L) {
  bind_functions(L, functions);
  bind_type(L, &type);
}
