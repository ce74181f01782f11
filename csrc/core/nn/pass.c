#include "core/nn/pass.h"

bool gpt_pass_check_rows(GptEnv *env, const GptPass *pass, const char *what, const GptTensor *x) {
  char text[GPT_SHAPE_TEXT];
  int64_t rows = 0;
  if (pass->segments == NULL) return true;
  for (int64_t s = 0; s < pass->n_segments; s++) rows += pass->segments[s].count;
  if (x->ndim >= 2 && x->shape[0] == 1 && x->shape[1] == rows) return true;
  return gpt_fail(env,
                  "%s: in a pass with a KV cache an input of shape [1, %lld, ...] expected, got %s; a layer that makes "
                  "other rows cannot be positionwise",
                  what, (long long)rows, gpt_tensor_shape_text(x, text));
}
