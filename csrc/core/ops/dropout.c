#include "core/ops/dropout.h"

#include "core/kernels/kernels.h"
#include "core/base/parallel.h"
#include "core/tensor/graph.h"

#define PIECE 8192 /* elements of a kernel's call */

typedef struct Mask {
  float *y;       /* [n] */
  const float *x; /* [n] */
  uint64_t seed;
  uint32_t threshold;
  float scale;
} Mask;

static void apply_mask(void *context, int64_t first, int64_t last) {
  const Mask *m = context;
  for (int64_t i = first; i < last; i += PIECE)
    gpt_kernels()->drop(m->y + i, m->x + i, m->seed, (uint64_t)i, m->threshold, m->scale,
                        last - i < PIECE ? last - i : PIECE);
}

static GptTensor *masked(GptEnv *env, GptTensor *x, double rate, uint64_t seed) {
  GptTensor *contiguous = gpt_tensor_contiguous_floats(env, "dropout", x), *y = gpt_tensor_like(env, contiguous);
  if (y != NULL) {
    Mask mask = {gpt_floats(y), gpt_floats(contiguous), seed, gpt_dropout_threshold(rate), (float)(1 / (1 - rate))};
    gpt_parallel_for(gpt_tensor_numel(y), gpt_grain(4), apply_mask, &mask);
  }
  return gpt_tensor_then(contiguous, y);
}

/* The mask is made again from its seed. */
static bool dropout_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, masked(env, grad, node->numbers[0], (uint64_t)node->integers[0]));
}

static const GptOp dropout_op = {"dropout", dropout_backward};

GptTensor *gpt_dropout(GptEnv *env, GptTensor *x, double rate, uint64_t seed) {
  if (rate == 0) return gpt_tensor_retain(x);
  GptTensor *y = masked(env, x, rate, seed);
  return gpt_graph_add(env, y,
                    (GptOpCall){.op = &dropout_op, GPT_INPUTS(x), .integers = {(int64_t)seed}, .numbers = {rate}});
}
