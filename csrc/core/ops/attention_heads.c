#include "core/ops/attention_heads.h"

#include <math.h>

GptHeads gpt_heads_of(const GptTensor *t) {
  return (GptHeads){gpt_floats(t), t->stride[0], t->stride[1], t->stride[2]};
}

GptTensor *gpt_heads_floats(GptEnv *env, GptTensor *t) {
  bool side_by_side = t->stride[3] == 1 || t->shape[3] == 1, apart = t->stride[1] >= t->shape[3] || t->shape[1] == 1;
  if (t->storage->dtype == GPT_F32 && side_by_side && apart) return gpt_tensor_retain(t);
  return gpt_tensor_contiguous_floats(env, "attention", t);
}

static bool check_shapes(GptEnv *env, const GptTensor *q, const GptTensor *k, const GptTensor *v) {
  char a[GPT_SHAPE_TEXT], b[GPT_SHAPE_TEXT], c[GPT_SHAPE_TEXT];
  bool four = q->ndim == 4 && k->ndim == 4 && gpt_same_shape(k, v);
  if (four && q->shape[0] == k->shape[0] && q->shape[3] == k->shape[3] && q->shape[3] > 0) return true;
  return gpt_fail(env,
                  "attention: queries of shape [batch, tokens, n_heads, head_dim], and keys and values of shape [batch, "
                  "tokens, n_kv_heads, head_dim] expected, got %s, %s and %s",
                  gpt_tensor_shape_text(q, a), gpt_tensor_shape_text(k, b), gpt_tensor_shape_text(v, c));
}

bool gpt_attention_check(GptEnv *env, const GptTensor *q, const GptTensor *k, const GptTensor *v,
                         const GptAttentionRule *rule) {
  if (!check_shapes(env, q, k, v)) return false;
  long long heads = (long long)q->shape[2], kv_heads = (long long)k->shape[2];
  if (kv_heads < 1 || heads % kv_heads != 0)
    return gpt_fail(env, "attention: the number of heads of keys and values must divide that of queries (%lld), got %lld",
                    heads, kv_heads);
  if (rule->causal && q->shape[1] > k->shape[1])
    return gpt_fail(env, "attention: at most as many queries as keys (%lld) expected, got %lld", (long long)k->shape[1],
                    (long long)q->shape[1]);
  if (rule->window > 0 && !rule->causal) return gpt_fail(env, "attention: a window needs causal attention");
  return k->shape[1] > 0 || q->shape[1] == 0 || gpt_fail(env, "attention: at least one key expected");
}

GptAttentionTile gpt_attention_tile_of(const GptAttentionRule *rule, int64_t head_dim) {
  double scale = rule->scale != 0 ? rule->scale : 1 / sqrt((double)head_dim);
  return (GptAttentionTile){
      .causal = rule->causal,
      .step = 1,
      .window = rule->window,
      .head_dim = head_dim,
      .scale = (float)scale,
      .softcap = (float)rule->softcap,
      .drop_rate = rule->drop_rate,
      .seed = rule->seed,
  };
}

int64_t gpt_attention_most_keys(const GptAttentionRule *rule, int64_t queries, int64_t keys) {
  bool fewer = rule->window > 0 && rule->window <= keys - queries; /* a window may be any number: no sum with it */
  return fewer ? rule->window - 1 + queries : keys;
}
