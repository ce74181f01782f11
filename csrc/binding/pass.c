#include "binding/pass.h"

#include "binding/attention.h"
#include "binding/tensor.h"
#include "core/nn/layer.h"
#include "core/nn/pass_attention.h"

/***
A forward pass on its way through the layers. A layer written in Lua gets it after its input: `forward = function(self,
x, pass, ...)`. It is valid only while that pass runs.
@classmod Pass
@usage
local Noisy = gpt.nn.layer("Noisy", {
  forward = function(self, x, pass)
    return pass.training and x + 0.1 * gpt.randn(x:shape()) or x
  end,
  positionwise = true,
})
print(Noisy():eval()(gpt.ones(1, 2)))
*/

/* Which pass a userdata stands for. The pointer is never followed: it is compared with those of the passes that run, and
 * the number tells whether it is still the same pass. */
typedef struct PassBox {
  const GptPass *pass;
  uint64_t number;
} PassBox;

static char last_pass; /* registry: the userdata that was made last */

void bind_push_pass(lua_State *L, const GptPass *pass) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &last_pass);
  const PassBox *last = lua_touserdata(L, -1);
  if (last != NULL && last->number == pass->number) return;
  lua_pop(L, 1);
  PassBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (PassBox){pass, pass->number};
  luaL_setmetatable(L, BIND_PASS);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &last_pass);
}

static GptPass *check_pass(lua_State *L) {
  PassBox *box = bind_check_userdata(L, 1, BIND_PASS);
  for (GptPass *pass = bind_env(L)->pass; pass != NULL; pass = pass->outer)
    if (pass == box->pass && pass->number == box->number) return pass;
  bind_error(L, "this pass has ended: it belongs to the forward that it was given to, and cannot be kept");
  return NULL;
}

/***
Is the pass in training mode? Dropout and noise belong in training only.
@tfield boolean Pass.training
*/
static int get_training(lua_State *L) {
  lua_pushboolean(L, check_pass(L)->training);
  return 1;
}

/***
The positions of the tokens in the layer's input x, counted from 1: an i64 tensor [tokens] for an x of
[batch, tokens, ...] or [tokens, dim], [1, tokens] if x holds the tokens of several conversations, or of one that
continues (in sessions, `gpt.feed` and generation with a cache).
@tfield Tensor Pass.positions
*/
static int get_positions(lua_State *L) {
  const GptPass *pass = check_pass(L);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_pass_positions(bind_env(L), pass, gpt_pass_tokens(pass), 1);
  return bind_tensor_done(L, box);
}

/***
Attention as `gpt.attention` computes it, with the KV cache: in a pass with a cache the keys and values of x's tokens
are appended to those of earlier tokens, and the queries see all of them. A forward that mixes positions only through
this can use the cache, and need not say so: the first tokens of a session find out. You may call it several times in a
forward. `dropout` is active in training only.
@function Pass:attention
@tparam Tensor q `[batch, tokens, n_heads, head_dim]`
@tparam Tensor k `[batch, tokens, n_kv_heads, head_dim]`
@tparam Tensor v as k
@tparam[opt] table options as for `gpt.attention`
@treturn Tensor of the shape of q
@usage
local Heads = gpt.nn.layer("Heads", {
  forward = function(self, x, pass)
    local q = x:reshape(x:shape()[1], x:shape()[2], 2, -1)
    return pass:attention(q, q, q, { window = 2 }):reshape(x:shape())
  end,
})
print(Heads()(gpt.randn(1, 4, 6)))
*/
static int pass_attention(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptPass *pass = check_pass(L);
  lua_settop(L, 5);
  GptAttentionRule rule = bind_attention_rule(L, 5, "pass:attention");
  if (pass->caller != NULL) pass->caller->attends = true;
  if (pass->caller == NULL || !pass->training || !pass->caller->training) rule.drop_rate = 0;
  if (rule.drop_rate > 0) rule.seed = gpt_random_bits64(pass->random);
  GptTensor **box = bind_new_tensor(L);
  GptTensor *q = bind_tensor(L, 2), *k = bind_tensor(L, 3), *v = bind_tensor(L, 4);
  *box = gpt_pass_attend(env, pass, pass->caller, q, k, v, &rule);
  return bind_tensor_done(L, box);
}

static int pass_print(lua_State *L) {
  bool training = check_pass(L)->training;
  lua_pushfstring(L, "Pass { training = %s }", training ? "true" : "false");
  return 1;
}

static const luaL_Reg methods[] = {{"attention", pass_attention}, {NULL, NULL}};
static const luaL_Reg fields[] = {{"training", get_training}, {"positions", get_positions}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__tostring", pass_print}, {NULL, NULL}};

void bind_open_pass(lua_State *L) {
  static const BindType type = {.name = BIND_PASS, .methods = methods, .fields = fields, .meta = meta};
  bind_type(L, &type);
}
