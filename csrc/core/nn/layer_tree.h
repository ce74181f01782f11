/*
 * Walks over a tree of layers. A layer that stands in several places, or above itself, is reached once: by the place
 * that comes first, parts in the order in which they were made. So a walk is linear in the number of distinct layers
 * and their places, however often the tree shares them; and it goes to any depth, because what it has to remember is
 * kept at the layers themselves.
 *
 * The price: while a walk goes on there must be no other, and nothing that may call the host (which any allocation
 * does where memory is short). Whoever has to allocate makes a list first.
 */
#ifndef GPT_LAYER_TREE_H
#define GPT_LAYER_TREE_H

#include "core/nn/layer.h"

typedef enum GptWalkStep {
  GPT_WALK_LAYER,     /* reached walk->layer */
  GPT_WALK_PARAMETER, /* walk->parameter is next in walk->layer, between its children as they were made */
  GPT_WALK_LEFT,      /* all below walk->layer is done */
  GPT_WALK_END,
} GptWalkStep;

typedef struct GptWalk {
  GptLayer *root, *layer;
  const GptParameter *parameter;
  uint64_t number;
  GptWalkStep step; /* the last one */
} GptWalk;

void gpt_walk_begin(GptWalk *walk, GptLayer *root);
GptWalkStep gpt_walk_next(GptWalk *walk);

/* The next layer, each once, parents first; NULL at the end. */
GptLayer *gpt_walk_next_layer(GptWalk *walk);

/* Where the walk stands: "blocks.3.attention", "" at its root. Writes at most `size` bytes with the zero, and returns
 * the length that it has in whole. */
size_t gpt_walk_path(const GptWalk *walk, char *path, size_t size);

/* The distinct layers of a tree, each held. */
typedef struct GptLayerList {
  GptEnv *env;
  int64_t count;
  GptLayer **layers;
} GptLayerList;

/* parts_first: every layer behind those below it, otherwise before. */
bool gpt_layer_list(GptEnv *env, GptLayer *root, bool parts_first, GptLayerList *list);
void gpt_layer_list_free(GptLayerList *list); /* a zeroed one is fine */

/* Where a layer stands in the list; -1 where it does not. At once, if no other list was made since. */
int64_t gpt_layer_list_index(const GptLayerList *list, const GptLayer *layer);

/* Is `layer` the root, or below it? */
bool gpt_layer_contains(GptLayer *root, const GptLayer *layer);

void gpt_layer_set_training(GptLayer *root, bool training);

/* May a KV cache serve a pass through this tree? */
bool gpt_layer_cacheable(GptLayer *root);

/* Is all that stands against that layers that say nothing of it, and attend? */
bool gpt_layer_may_be_cacheable(GptLayer *root);

/* Is any layer of the host's making? */
bool gpt_layer_has_host(GptLayer *root);

/* Grows whenever a part or parameter of a layer in this tree is added, exchanged or taken out; nothing that happens
 * elsewhere changes it. (Writing into a parameter's numbers does not either.) */
uint64_t gpt_layer_stamp(GptLayer *root);

#endif
