#include "binding/attention.h"

#include <math.h>

#include "binding/fields.h"
#include "binding/tensor.h"

GptAttentionRule bind_attention_rule(lua_State *L, int index, const char *what) {
  static const char *const names[] = {"causal", "scale", "window", "softcap", "dropout", NULL};
  const BindRange positive = {.high = INFINITY, .above = true, .below = true, .expected = "a finite number above 0"};
  GptAttentionRule rule = {.causal = true};
  if (lua_isnoneornil(L, index)) return rule;
  if (!lua_istable(L, index))
    bind_argument_error(L, index, lua_pushfstring(L, "a table of options expected, got %s", bind_typename(L, index)));
  bind_check_options(L, index, what, names);
  rule.causal = bind_opt_boolean_field(L, index, what, "causal", true);
  rule.scale = bind_opt_number_within(L, index, what, "scale", positive, 0);
  rule.window = bind_opt_integer_field(L, index, what, "window", 1, 0);
  rule.softcap = bind_opt_number_within(L, index, what, "softcap", positive, 0);
  rule.drop_rate = bind_opt_number_field(L, index, what, "dropout", 0, 1, 0);
  return rule;
}

/***
Scaled dot-product attention (Vaswani et al. 2017) over heads: softmax(scale q k') v, which never holds a matrix of
tokens x tokens, forward or backward.
With fewer heads of keys than of queries, which they must divide, neighbouring heads of queries share one (Ainslie et
al. 2023). With fewer queries than keys, the queries are the last ones. Layers written in Lua call `pass:attention`,
which uses the KV cache.
@function attention
@tparam Tensor q `[batch, queries, n_heads, head_dim]`
@tparam Tensor k `[batch, keys, n_kv_heads, head_dim]`
@tparam Tensor v as k
@tparam[opt] table options
`causal` (true): a query sees the keys up to its own; `scale` (1 / sqrt(head_dim)) of the scores;
`window`: a query sees that many keys at most, its own and those before it;
`softcap`: scores become softcap * tanh(score / softcap); `dropout` (0) of the weights
@treturn Tensor of the shape of q
@usage
local q, k = gpt.randn(1, 5, 4, 8), gpt.randn(1, 5, 2, 8)   -- 4 heads of queries on 2 of keys
print(gpt.attention(q, k, gpt.randn(1, 5, 2, 8), { window = 3 }))
*/
static int attention_function(lua_State *L) {
  GptEnv *env = bind_env(L);
  lua_settop(L, 4);
  GptAttentionRule rule = bind_attention_rule(L, 4, "gpt.attention");
  if (rule.drop_rate > 0) rule.seed = gpt_random_bits64(&env->random);
  GptTensor **box = bind_new_tensor(L);
  GptTensor *q = bind_tensor(L, 1), *k = bind_tensor(L, 2), *v = bind_tensor(L, 3);
  *box = gpt_attention(env, q, k, v, &rule);
  return bind_tensor_done(L, box);
}

static const luaL_Reg functions[] = {{"attention", attention_function}, {NULL, NULL}};

void bind_open_attention(lua_State *L) { bind_functions(L, functions); }
