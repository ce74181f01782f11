/* All parameters of a tree, with their paths. */
#ifndef GPT_LAYER_PARAMETERS_H
#define GPT_LAYER_PARAMETERS_H

#include "core/nn/layer.h"

typedef struct GptNamed {
  const char *path;      /* "blocks.3.attention.query.weight": the first place, where a tensor has several */
  GptTensor *tensor;     /* held */
  const GptLayer *owner; /* the layer of that place; to be compared only */
} GptNamed;

/* In creation order, a tensor that stands in several places once. One block of memory holds everything. */
typedef struct GptParameterList {
  GptEnv *env;
  int64_t count;
  GptNamed *items;
  int64_t *slots; /* a hash table over the tensors: 1 + index, or 0 */
  size_t n_slots; /* a power of two */
} GptParameterList;

bool gpt_layer_parameters(GptEnv *env, GptLayer *layer, GptParameterList *list);
void gpt_parameter_list_free(GptParameterList *list); /* a zeroed one is fine */

/* The entry of a tensor, or NULL. */
const GptNamed *gpt_parameter_list_find(const GptParameterList *list, const GptTensor *tensor);

/* Numbers in all of them. */
int64_t gpt_parameter_list_numel(const GptParameterList *list);

#endif
