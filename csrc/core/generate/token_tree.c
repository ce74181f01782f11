#include "core/generate/token_tree.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"

GptTokenTree *gpt_token_tree_new(GptEnv *env) {
  GptTokenTree *tree = gpt_alloc_zeroed(env, sizeof *tree);
  if (tree == NULL) return NULL;
  tree->env = env;
  if (GPT_GROW(env, tree->starts, tree->start_room, 0, 1)) {
    tree->starts[0] = 0;
    return tree;
  }
  gpt_token_tree_free(tree);
  return NULL;
}

void gpt_token_tree_free(GptTokenTree *tree) {
  if (tree == NULL) return;
  gpt_free(tree->env, tree->bytes);
  gpt_free(tree->env, tree->starts);
  gpt_free(tree->env, tree->nodes);
  gpt_free(tree->env, tree->same);
  gpt_free(tree->env, tree);
}

char *gpt_token_tree_place(GptTokenTree *tree, size_t n) {
  if (tree->ids == INT32_MAX) return gpt_fail_null(tree->env, "a vocabulary of more than %d ids", INT32_MAX);
  if (n > UINT16_MAX) return gpt_fail_null(tree->env, "id %lld has %zu bytes: too many", (long long)tree->ids, n);
  if (!GPT_GROW(tree->env, tree->bytes, tree->room, tree->used, n + 1)) return NULL;
  if (!GPT_GROW(tree->env, tree->starts, tree->start_room, (size_t)tree->ids + 1, 1)) return NULL;
  char *place = (char *)tree->bytes + tree->used;
  tree->used += n;
  tree->starts[++tree->ids] = tree->used;
  return place;
}

const uint8_t *gpt_token_tree_bytes(const GptTokenTree *tree, int64_t id, size_t *n) {
  bool there = id >= 0 && id < tree->ids;
  *n = there ? tree->starts[id + 1] - tree->starts[id] : 0;
  return there ? tree->bytes + tree->starts[id] : NULL;
}

/* A token to be sorted. */
typedef struct Entry {
  const uint8_t *bytes;
  uint32_t n;
  int32_t id;
} Entry;

/* By bytes, then by id. */
static int compare_entries(const void *a, const void *b) {
  const Entry *x = a, *y = b;
  int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);
  if (order != 0) return order;
  if (x->n != y->n) return x->n < y->n ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

/* The tokens that have a text, sorted. */
static Entry *sort_tokens(GptTokenTree *tree, size_t *count) {
  Entry *entries = gpt_alloc_array(tree->env, (size_t)tree->ids, sizeof *entries);
  *count = 0;
  if (entries == NULL) return NULL;
  for (int64_t id = 0; id < tree->ids; id++) {
    size_t n;
    const uint8_t *bytes = gpt_token_tree_bytes(tree, id, &n);
    if (n > 0) entries[(*count)++] = (Entry){bytes, (uint32_t)n, (int32_t)id};
  }
  qsort(entries, *count, sizeof *entries, compare_entries);
  return entries;
}

static uint32_t shared_bytes(const Entry *a, const Entry *b) {
  uint32_t n = 0, most = a->n < b->n ? a->n : b->n;
  while (n < most && a->bytes[n] == b->bytes[n]) n++;
  return n;
}

static size_t count_nodes(const Entry *entries, size_t count) {
  size_t nodes = 0;
  for (size_t i = 0; i < count; i++) nodes += entries[i].n - (i > 0 ? shared_bytes(&entries[i - 1], &entries[i]) : 0);
  return nodes;
}

/* The nodes of a token that its neighbour before it does not have. open [depth]: the node of each byte on the way. */
static void add_nodes(GptTokenTree *tree, const Entry *entry, uint32_t shared, uint32_t *open) {
  for (uint32_t depth = shared; depth < entry->n; depth++) {
    open[depth] = (uint32_t)tree->count;
    tree->nodes[tree->count++] = (GptTokenNode){.token = -1, .depth = (uint16_t)depth, .byte = entry->bytes[depth]};
  }
  GptTokenNode *last = &tree->nodes[open[entry->n - 1]];
  if (last->token >= 0) tree->same[entry->id] = last->token;
  last->token = entry->id;
}

static void close_nodes(GptTokenTree *tree, const uint32_t *open, uint32_t from, uint32_t to) {
  for (uint32_t depth = from; depth < to; depth++) tree->nodes[open[depth]].end = (uint32_t)tree->count;
}

static void make_nodes(GptTokenTree *tree, const Entry *entries, size_t count, uint32_t *open) {
  uint32_t depth = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t shared = i > 0 ? shared_bytes(&entries[i - 1], &entries[i]) : 0;
    close_nodes(tree, open, shared, depth);
    add_nodes(tree, &entries[i], shared, open);
    depth = entries[i].n;
  }
  close_nodes(tree, open, 0, depth);
}

bool gpt_token_tree_finish(GptTokenTree *tree) {
  GptEnv *env = tree->env;
  size_t count;
  Entry *entries = sort_tokens(tree, &count);
  if (entries == NULL) return false;
  for (size_t i = 0; i < count; i++) tree->longest = entries[i].n > tree->longest ? entries[i].n : tree->longest;
  uint32_t *open = gpt_alloc_array(env, tree->longest, sizeof *open);
  tree->nodes = gpt_alloc_array(env, count_nodes(entries, count), sizeof *tree->nodes);
  tree->same = gpt_alloc_array(env, (size_t)tree->ids, sizeof *tree->same);
  bool made = open != NULL && tree->nodes != NULL && tree->same != NULL;
  if (made) {
    for (int64_t id = 0; id < tree->ids; id++) tree->same[id] = -1;
    make_nodes(tree, entries, count, open);
  }
  gpt_free(env, open);
  gpt_free(env, entries);
  return made;
}
