#include "core/nn/pass_attention.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/nn/layer.h"
#include "core/ops/shape.h"

/* Where this call's keys and values lie in every segment's cache. */
static bool claim_slots(const GptPass *pass, const GptLayer *owner, const GptTensor *k, GptCachedRows *rows) {
  for (int64_t s = 0; s < pass->n_segments; s++) {
    const GptSegment *segment = &pass->segments[s];
    GptKvClaim claim = {owner, pass->number, pass->attention_calls, k->shape[2], k->shape[3],
                        segment->first + segment->count};
    const GptKvSlot *slot = gpt_kv_cache_claim(segment->cache, &claim);
    if (slot == NULL) return false;
    rows[s] = (GptCachedRows){slot->pages, segment->cache->dtype, segment->cache->page_tokens, segment->first,
                              segment->count};
  }
  return true;
}

static bool check_cached(GptEnv *env, const GptPass *pass, const GptTensor *q, const GptTensor *k, const GptTensor *v,
                         const GptAttentionRule *rule) {
  if (!rule->causal) return gpt_fail(env, "attention: in a pass with a KV cache only causal attention is possible");
  return gpt_attention_check(env, q, k, v, rule) && gpt_pass_check_rows(env, pass, "attention", q) &&
         gpt_pass_check_rows(env, pass, "attention", k);
}

static GptTensor *attend_cached(GptEnv *env, GptPass *pass, const GptLayer *owner, GptTensor *q, GptTensor *k,
                                GptTensor *v, const GptAttentionRule *rule) {
  if (!check_cached(env, pass, q, k, v, rule)) return NULL;
  GptCachedRows *rows = gpt_alloc_array(env, (size_t)pass->n_segments, sizeof *rows);
  bool found = rows != NULL && claim_slots(pass, owner, k, rows);
  pass->attention_calls++;
  GptTensor *y = found ? gpt_attention_cached(env, q, k, v, rule, pass->n_segments, rows) : NULL;
  gpt_free(env, rows);
  return y;
}

static bool tell(GptEnv *env, const GptPass *pass, GptTensor *q, GptTensor *k, GptTensor *v,
                 const GptAttentionRule *rule) {
  GptObserver *observer = pass->observer;
  return observer == NULL || observer->attends == NULL || observer->attends(observer, env, q, k, v, rule);
}

GptTensor *gpt_pass_attend(GptEnv *env, GptPass *pass, const GptLayer *owner, GptTensor *q, GptTensor *k, GptTensor *v,
                           const GptAttentionRule *rule) {
  if (pass->segments != NULL) return attend_cached(env, pass, owner, q, k, v, rule);
  return tell(env, pass, q, k, v, rule) ? gpt_attention(env, q, k, v, rule) : NULL;
}

/* Queries, keys and values as they lie in qkv; all of them, or none. */
static bool part_packed(GptEnv *env, const GptTensor *qkv, int64_t n_heads, int64_t n_kv_heads, GptTensor *parts[3]) {
  bool done = true;
  for (int i = 0; i < 3; i++) {
    parts[i] = done ? gpt_attention_part(env, qkv, i, n_heads, n_kv_heads) : NULL;
    done = parts[i] != NULL;
  }
  return done;
}

GptTensor *gpt_pass_attend_packed(GptEnv *env, GptPass *pass, const GptLayer *owner, GptTensor *qkv, int64_t n_heads,
                                  int64_t n_kv_heads, const GptAttentionRule *rule) {
  if (pass->segments == NULL && pass->observer == NULL)
    return gpt_attention_packed(env, qkv, n_heads, n_kv_heads, rule);
  GptTensor *parts[3], *y = NULL;
  if (part_packed(env, qkv, n_heads, n_kv_heads, parts))
    y = gpt_pass_attend(env, pass, owner, parts[0], parts[1], parts[2], rule);
  for (int i = 0; i < 3; i++) gpt_tensor_release(parts[i]);
  if (y == NULL) return NULL;
  return gpt_tensor_then(y, gpt_reshape(env, y, 3, (int64_t[]){y->shape[0], y->shape[1], y->shape[2] * y->shape[3]}));
}
