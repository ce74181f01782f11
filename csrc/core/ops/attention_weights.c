/* The attention weights themselves, for whoever wants to look at them: from plain ops, one whole matrix per head. */
#include <math.h>

#include "core/ops/attention.h"
#include "core/ops/binary.h"
#include "core/ops/index.h"
#include "core/ops/matmul.h"
#include "core/ops/shape.h"
#include "core/ops/softmax.h"

/* qkv [batch, tokens, 3 * dim] as [3, batch, heads, tokens, head_dim] */
static GptTensor *apart(GptEnv *env, GptTensor *qkv, int64_t n_heads) {
  int64_t shape[] = {qkv->shape[0], qkv->shape[1], 3, n_heads, qkv->shape[2] / 3 / n_heads};
  GptTensor *parts = gpt_reshape(env, qkv, 5, shape);
  return gpt_tensor_then(parts, gpt_permute(env, parts, (int[]){2, 0, 3, 1, 4}));
}

/* q k' / sqrt(head_dim) [batch, heads, tokens, tokens] */
static GptTensor *scores_of(GptEnv *env, GptTensor *parts) {
  GptTensor *scale = gpt_tensor_number(env, 1 / sqrt((double)parts->shape[4]));
  GptTensor *q = gpt_select(env, parts, 0, 0), *k = gpt_select(env, parts, 0, 1);
  k = gpt_tensor_then(k, gpt_transpose(env, k, 2, 3));
  GptTensor *scores = gpt_tensor_then(k, gpt_matmul(env, q, k));
  scores = gpt_tensor_then(scores, gpt_mul(env, scores, scale));
  gpt_tensor_release(q);
  return gpt_tensor_then(scale, scores);
}

/* 1 where a token would see a later one */
static GptTensor *future(GptEnv *env, int64_t tokens) {
  GptTensor *ones = gpt_full(env, GPT_F32, 2, (int64_t[]){tokens, tokens}, (GptNumber){1, 1});
  return gpt_tensor_then(ones, gpt_triu(env, ones, 1));
}

GptTensor *gpt_attention_weights(GptEnv *env, GptTensor *qkv, int64_t n_heads) {
  GptTensor *parts = apart(env, qkv, n_heads), *mask = future(env, qkv->shape[1]);
  GptTensor *weights = parts != NULL ? scores_of(env, parts) : NULL;
  weights = gpt_tensor_then(weights, gpt_masked_fill(env, weights, mask, (GptNumber){.number = -INFINITY}));
  weights = gpt_tensor_then(weights, gpt_softmax(env, weights, 3));
  gpt_tensor_release(mask);
  return gpt_tensor_then(parts, weights);
}
