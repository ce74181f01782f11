/* Which dtypes a layer's parameters may have. */
#include <string.h>

#include "core/nn/layers/kinds.h"

bool gpt_layer_may_hold(const GptLayer *layer, const char *name, GptDtype dtype) {
  bool any = layer->kind == &gpt_linear_kind || layer->kind == &gpt_embedding_kind;
  return dtype == GPT_F32 || (any && dtype != GPT_I64 && strcmp(name, "weight") == 0);
}
