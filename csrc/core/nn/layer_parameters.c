#include "core/nn/layer_parameters.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/nn/layer_tree.h"

/* What a list needs at most: tensors that stand in several places are counted in each. */
typedef struct Need {
  size_t parameters, slots, text;
} Need;

static Need measure(GptLayer *root) {
  GptWalk walk;
  Need need = {0, 4, 0};
  gpt_walk_begin(&walk, root);
  for (GptWalkStep step = gpt_walk_next(&walk); step != GPT_WALK_END; step = gpt_walk_next(&walk)) {
    if (step != GPT_WALK_PARAMETER) continue;
    need.parameters++;
    need.text += gpt_walk_path(&walk, NULL, 0) + 1 + strlen(walk.parameter->name) + 1;
  }
  while (need.slots < 2 * need.parameters) need.slots *= 2;
  return need;
}

static size_t bytes_of(Need need) {
  return need.parameters * sizeof(GptNamed) + need.slots * sizeof(int64_t) + need.text;
}

/* Where a tensor stands in the hash table, or would stand. */
static int64_t *slot_of(const GptParameterList *list, const GptTensor *tensor) {
  size_t at = (size_t)((uint64_t)(uintptr_t)tensor * 0x9E3779B97F4A7C15u >> 20);
  for (;; at++) {
    int64_t *slot = &list->slots[at & (list->n_slots - 1)];
    if (*slot == 0 || list->items[*slot - 1].tensor == tensor) return slot;
  }
}

/* Writes "path.name" and its zero; returns what is behind it. */
static char *write_name(char *text, const GptWalk *walk, const char *name) {
  size_t room = gpt_walk_path(walk, NULL, 0) + 1;
  size_t length = gpt_walk_path(walk, text, room), bytes = strlen(name) + 1;
  if (length > 0) text[length++] = '.';
  memcpy(text + length, name, bytes);
  return text + length + bytes;
}

static void fill_parameters(GptParameterList *list, GptLayer *root, char *text) {
  GptWalk walk;
  gpt_walk_begin(&walk, root);
  for (GptWalkStep step = gpt_walk_next(&walk); step != GPT_WALK_END; step = gpt_walk_next(&walk)) {
    if (step != GPT_WALK_PARAMETER) continue;
    GptTensor *tensor = walk.parameter->tensor;
    int64_t *slot = slot_of(list, tensor);
    if (*slot != 0) continue;
    list->items[list->count] = (GptNamed){text, gpt_tensor_retain(tensor), walk.layer};
    *slot = ++list->count;
    text = write_name(text, &walk, walk.parameter->name);
  }
}

bool gpt_layer_parameters(GptEnv *env, GptLayer *layer, GptParameterList *list) {
  *list = (GptParameterList){.env = env};
  Need need = measure(layer);
  size_t there;
  do { /* short of memory, gpt_alloc may run the host, which may change the tree */
    there = bytes_of(need);
    list->items = gpt_alloc_zeroed(env, there);
    if (list->items == NULL) return false;
    need = measure(layer);
    if (bytes_of(need) > there) gpt_free(env, list->items);
  } while (bytes_of(need) > there);
  list->slots = (int64_t *)(void *)(list->items + need.parameters);
  list->n_slots = need.slots;
  fill_parameters(list, layer, (char *)(list->slots + need.slots));
  return true;
}

void gpt_parameter_list_free(GptParameterList *list) {
  GptNamed *items = list->items;
  int64_t count = list->count;
  list->items = NULL;
  list->count = 0;
  for (int64_t i = 0; i < count; i++) gpt_tensor_release(items[i].tensor);
  gpt_free(list->env, items);
}

const GptNamed *gpt_parameter_list_find(const GptParameterList *list, const GptTensor *tensor) {
  int64_t i = *slot_of(list, tensor);
  return i > 0 ? &list->items[i - 1] : NULL;
}

int64_t gpt_parameter_list_numel(const GptParameterList *list) {
  int64_t n = 0;
  for (int64_t i = 0; i < list->count; i++) n += gpt_tensor_numel(list->items[i].tensor);
  return n;
}
