/* Building a Model, with parts that Lua makes. */
#include "core/nn/model.h"

#include "binding/config.h"
#include "binding/ids.h"
#include "binding/layer.h"
#include "binding/tensor.h"
#include "core/nn/layer_print.h"

/* What make_part needs of the call: where the config, the table of parts and a table that keeps them alive until the
 * model does lie. */
typedef struct Parts {
  lua_State *L;
  int config, parts, kept;
} Parts;

/* One part: which, and what became of it. */
typedef struct Part {
  GptEnv *env;
  const char *name;
  int64_t index;
  GptLayer *layer; /* a reference of its own; NULL: the model makes its own */
  bool absent, refused;
} Part;

/***
A GPT, made by gpt.Model or gpt.load: called with token ids it returns logits. It is a layer like any other, whose parts
are `token_embedding position_embedding blocks final_norm head`.
@classmod Model
@usage print(model { 3, 1, 2 })   -- [1, 3, vocab_size]
*/

#define CONFIG 1 /* a protected call's arguments */
#define PARTS 2
#define KEPT 3

static void refuse_part(Part *part, const char *reason, const char *what) {
  part->refused = true;
  gpt_fail(part->env, "gpt.Model: part '%s'%s%s", part->name, reason, what);
}

/* Pushes the part's entry; a function is called with the config and, for a block, its number. */
static void push_part(lua_State *L, Part *part) {
  if (lua_getfield(L, PARTS, part->name) != LUA_TFUNCTION) return;
  lua_pushvalue(L, CONFIG);
  lua_pushinteger(L, part->index + 1);
  lua_call(L, 2, 1);
  if (lua_isnil(L, -1)) refuse_part(part, ": its function returned nil; does it return the layer?", "");
}

/* Protected: the part that the caller gave. */
static int find_part(lua_State *L) {
  Part *part = lua_touserdata(L, -1);
  lua_settop(L, KEPT);
  push_part(L, part);
  part->absent = lua_isboolean(L, -1) && !lua_toboolean(L, -1) && part->name[0] == 'p';
  if (part->refused || part->absent || lua_isnil(L, -1)) return 0;
  GptLayer **box = (GptLayer **)bind_look(L, lua_gettop(L), BIND_LAYER);
  if (box == NULL || *box == NULL) {
    refuse_part(part, " must be a layer, or a function that returns one; got ", bind_typename(L, -1));
    return 0;
  }
  lua_rawseti(L, KEPT, (lua_Integer)lua_rawlen(L, KEPT) + 1);
  part->layer = gpt_layer_retain(*box); /* the table keeps the userdata */
  return 0;
}

static bool make_part(GptEnv *env, void *context, const char *name, int64_t index, GptLayer **layer, bool *absent) {
  const Parts *p = context;
  Part part = {.env = env, .name = name, .index = index};
  lua_pushvalue(p->L, p->config);
  lua_pushvalue(p->L, p->parts);
  lua_pushvalue(p->L, p->kept);
  if (!bind_protect(p->L, env, find_part, KEPT, 0, &part) || part.refused) return false;
  *absent = part.absent;
  *layer = part.layer;
  return true;
}

/* _model(config, parts or nil, shown): config is checked and complete; shown becomes the field `config` */
static int model(lua_State *L) {
  static const char *const names[] = {"block", "token_embedding", "position_embedding", "final_norm", "head", NULL};
  GptEnv *env = bind_env(L);
  GptConfig config;
  bool has_parts = !lua_isnoneornil(L, 2);
  lua_settop(L, 3);
  if (has_parts) bind_check_type(L, 2, LUA_TTABLE), bind_check_options(L, 2, "gpt.Model: parts", names);
  bind_config(L, 1, &config);
  lua_newtable(L);
  Parts parts = {L, 1, 2, lua_gettop(L)};
  GptLayer **box = bind_new_layer(L);
  *box = (GptLayer *)gpt_model_new(env, &config, has_parts ? make_part : NULL, &parts);
  bind_layer_done(L, box);
  lua_getiuservalue(L, -1, BIND_LAYER_FIELDS);
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "config");
  lua_pop(L, 1);
  return 1;
}

/***
The mean cross-entropy of the model's logits against targets, without ever holding all the logits: the same value and
gradients as `gpt.cross_entropy(model(ids), targets)`, in less memory and time. A head that is not a Linear runs as it
is, with all its logits.
@function Model:loss
@param ids an array of token ids, an array of arrays, or an i64 tensor [batch, tokens]. Arrays may have different
lengths: the shorter ones are padded, and what is padded has no target
@param targets as ids, of the same lengths: for each position the id that follows; -1 or -100 ignores a position
@treturn Tensor one number, on which to call `backward`
@usage model:loss({ 5, 3, 9 }, { 3, 9, 2 }):backward()
*/
static int loss(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptModel *given = bind_model(L, 1);
  lua_settop(L, 3);
  bind_check_row_lengths(L, 2, 3, "loss");
  bind_padded_ids(L, 2, 0);
  bind_padded_ids(L, 3, -1);
  bind_model_ids(L, 2, "loss");
  bind_model_ids(L, 3, "loss");
  GptPass fresh = gpt_pass(env, bind_is_training(env, &given->layer));
  GptTensor **box = bind_new_tensor(L), *ids = bind_tensor(L, 2), *targets = bind_tensor(L, 3);
  *box = gpt_model_loss(env, &fresh, given, ids, targets);
  return bind_tensor_done(L, box);
}

/***
The states after the final norm, which the head turns into logits: what a head of another kind, a classifier's say, is
fed. Like any call, it records for backward, and drops in training mode.
@function Model:features
@param ids as for the model itself
@treturn Tensor [batch, tokens, emb_dim]
@usage local states = model:features { 3, 1, 2 }
print(states[1][-1])   -- of the last token: it has seen all
*/
static int features(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptModel *given = bind_model(L, 1);
  lua_settop(L, 2);
  bind_model_ids(L, 2, "features");
  GptPass fresh = gpt_pass(env, bind_is_training(env, &given->layer));
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_model_hidden(env, &fresh, given, bind_tensor(L, 2));
  return bind_tensor_done(L, box);
}

/***
Trains in less memory and more time: of each block only the input is kept, and the backward pass runs the block again
(Chen et al. 2016). Losses and gradients stay the same, bit for bit. What a block written in Lua reads besides its input
must be parameters, or tensors without a graph.
@function Model:recompute
@tparam[opt=true] boolean on
@treturn Model the model itself
@usage model:recompute()
model:loss({ 5, 3, 9 }, { 3, 9, 2 }):backward()
*/
static int set_recompute(lua_State *L) {
  GptModel *given = bind_model(L, 1);
  if (!lua_isnoneornil(L, 2)) bind_check_type(L, 2, LUA_TBOOLEAN);
  given->recompute = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  lua_settop(L, 1);
  return 1;
}

/* _recomputes(model): does it? */
static int recomputes(lua_State *L) {
  lua_pushboolean(L, bind_model(L, 1)->recompute);
  return 1;
}

/* _set_parameter(layer, name, tensor): exchanges a parameter of that layer for another of its shape */
static int set_parameter(lua_State *L) {
  char before[GPT_SHAPE_TEXT], after[GPT_SHAPE_TEXT];
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  const char *name = bind_check_string(L, 2);
  GptTensor *tensor = bind_tensor(L, 3), *old = gpt_layer_parameter(layer, name);
  if (old == NULL)
    return bind_argument_error(L, 2, lua_pushfstring(L, "%s has no parameter '%s'", gpt_layer_name(layer), name));
  if (!gpt_same_shape(tensor, old))
    return bind_argument_error(L, 3, lua_pushfstring(L, "shape %s expected, got %s", gpt_tensor_shape_text(old, before),
                                               gpt_tensor_shape_text(tensor, after)));
  if (!gpt_layer_may_hold(layer, name, tensor->storage->dtype))
    return bind_argument_error(L, 3, lua_pushfstring(L, "%s.%s cannot be %s", gpt_layer_name(layer), name,
                                               gpt_dtype_name(tensor->storage->dtype)));
  tensor->requires_grad = old->requires_grad && tensor->storage->dtype == GPT_F32;
  if (!gpt_layer_set_parameter(env, layer, name, tensor)) return bind_raise(L, env);
  return 0;
}

/* _may_hold(layer, name, dtype): whether a parameter of that name may be of that dtype */
static int may_hold(lua_State *L) {
  lua_pushboolean(L, gpt_layer_may_hold(bind_layer(L, 1), bind_check_string(L, 2), bind_dtype(L, 3)));
  return 1;
}

/* _ids_tensor(ids, pad): an array of token ids, or of equally long arrays (with pad: of any lengths), as an i64 tensor
 * [batch, tokens] */
static int ids_tensor(lua_State *L) {
  bind_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    bind_padded_ids(L, 1, bind_check_integer(L, 2));
    if (bind_test_tensor(L, 1) != NULL) return lua_settop(L, 1), 1;
  }
  lua_settop(L, 1);
  bind_ids_tensor(L, 1, true);
  return 1;
}

/* _is_model(value): is it a Model? */
static int is_model(lua_State *L) {
  const GptLayer *layer = bind_test_layer(L, 1);
  lua_pushboolean(L, layer != NULL && gpt_layer_is_model(layer));
  return 1;
}

/* _identity(tensor): equal for the same tensor, whatever userdata it stands behind. */
static int tensor_identity(lua_State *L) {
  lua_pushlightuserdata(L, bind_tensor(L, 1));
  return 1;
}

/* _constructor(layer): what it says of itself alone, "Linear(3, 4)" */
static int constructor(lua_State *L) { return bind_push_printed(L, gpt_layer_print_alone); }

/* _kind(layer): "Model", "Linear", ... */
static int kind(lua_State *L) {
  lua_pushstring(L, bind_layer(L, 1)->kind->name);
  return 1;
}

static const luaL_Reg functions[] = {
    {"_features", features}, {"_recompute", set_recompute}, {"_recomputes", recomputes}, {"_model", model}, {"_loss", loss}, {"_set_parameter", set_parameter}, {"_kind", kind},
    {"_ids_tensor", ids_tensor}, {"_is_model", is_model}, {"_identity", tensor_identity},
    {"_constructor", constructor}, {"_may_hold", may_hold}, {NULL, NULL}};

void bind_open_model(lua_State *L) { bind_functions(L, functions); }
