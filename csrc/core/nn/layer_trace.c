#include "core/nn/layer_trace.h"

#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/ops/attention.h"

#define DEEPEST 50 /* layers between the one that runs and the one it calls; circles end here */

void gpt_trace_init(GptTrace *trace) { *trace = (GptTrace){.running = -1}; }

void gpt_trace_free(GptEnv *env, GptTrace *trace) {
  for (int64_t i = 0; i < trace->count; i++) {
    GptTraceEntry *entry = &trace->items[i];
    gpt_free(env, entry->path);
    gpt_layer_release(entry->layer);
    gpt_tensor_release(entry->output);
    gpt_tensor_release(entry->weights);
  }
  gpt_free(env, trace->items);
  gpt_trace_init(trace);
}

typedef struct Search {
  const GptChild *place;
  const GptLayer *layer;
  char *path; /* of GPT_PATH_SIZE bytes */
} Search;

static bool is_sought(const Search *s, const GptChild *child) {
  return s->place != NULL ? child == s->place : child->layer == s->layer;
}

static size_t add_name(const Search *s, size_t length, const char *name) {
  size_t room = GPT_PATH_SIZE - length;
  int added = snprintf(s->path + length, room, "%s%s", length > 0 ? "." : "", name);
  return length + (added < (int)room ? (size_t)added : room - 1);
}

/* Adds the names that lead from parent to the place to the path, which has that length: its own parts first, then
 * theirs. */
static bool find_below(const Search *s, const GptLayer *parent, size_t length, int depth) {
  for (int i = 0; i < parent->n_children; i++)
    if (is_sought(s, &parent->children[i])) return add_name(s, length, parent->children[i].name), true;
  for (int i = 0; i < parent->n_children && depth < DEEPEST; i++) {
    const GptChild *child = &parent->children[i];
    if (find_below(s, child->layer, add_name(s, length, child->name), depth + 1)) return true;
  }
  return false;
}

/* How often that path, with or without a number, stands in the trace already. */
static int count_runs(const GptTrace *trace, const char *path) {
  int runs = 0;
  size_t length = strlen(path);
  for (int64_t i = 0; i < trace->count; i++) {
    const char *other = trace->items[i].path;
    runs += strncmp(other, path, length) == 0 && (other[length] == '\0' || other[length] == '#');
  }
  return runs;
}

/* Writes the path of what is run now; false where it has none. */
static bool find_path(const GptTrace *trace, const GptChild *place, const GptLayer *layer, char *path) {
  path[0] = '\0';
  if (trace->running < 0) return true;
  const GptTraceEntry *parent = &trace->items[trace->running];
  size_t length = strlen(parent->path);
  memcpy(path, parent->path, length + 1);
  if (!find_below(&(Search){place, layer, path}, parent->layer, length, 0)) return false;
  int runs = count_runs(trace, path);
  length = strlen(path);
  if (runs > 0) snprintf(path + length, GPT_PATH_SIZE - length, "#%d", runs + 1);
  return true;
}

static GptTraceEntry *add_entry(GptEnv *env, GptTrace *trace, const char *path, GptLayer *layer) {
  if (!GPT_GROW(env, trace->items, trace->capacity, trace->count, 1)) return NULL;
  char *copy = gpt_copy_string(env, path);
  if (copy == NULL) return NULL;
  GptTraceEntry *entry = &trace->items[trace->count++];
  *entry = (GptTraceEntry){.path = copy, .layer = gpt_layer_retain(layer)};
  return entry;
}

/* A layer without a path: runs as if nothing was traced. */
static GptTensor *run_untraced(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTrace *trace = pass->trace;
  pass->trace = NULL;
  GptTensor *y = layer->kind->forward(env, pass, layer, x);
  pass->trace = trace;
  return y;
}

GptTensor *gpt_trace_run(GptEnv *env, GptPass *pass, const GptChild *place, GptLayer *layer, GptTensor *x) {
  char path[GPT_PATH_SIZE];
  GptTrace *trace = pass->trace;
  if (!find_path(trace, place, layer, path)) return run_untraced(env, pass, layer, x);
  if (add_entry(env, trace, path, layer) == NULL) return NULL;
  int64_t outer = trace->running, here = trace->count - 1;
  trace->running = here;
  GptTensor *y = layer->kind->forward(env, pass, layer, x);
  trace->running = outer;
  trace->items[here].output = gpt_tensor_retain(y);
  return y;
}

bool gpt_trace_part(GptEnv *env, GptPass *pass, const char *name, GptTensor *output) {
  char path[GPT_PATH_SIZE];
  GptTrace *trace = pass->trace;
  const GptLayer *parent = trace->items[trace->running].layer;
  const GptChild *place = gpt_layer_place(parent, name);
  if (place == NULL || !find_path(trace, place, place->layer, path)) return true;
  GptTraceEntry *entry = add_entry(env, trace, path, place->layer);
  if (entry != NULL) entry->output = gpt_tensor_retain(output);
  return entry != NULL;
}

bool gpt_trace_attention(GptEnv *env, GptPass *pass, GptTensor *qkv, int64_t n_heads) {
  GptTrace *trace = pass->trace;
  GptTensor *weights = gpt_attention_weights(env, qkv, n_heads);
  gpt_tensor_release(trace->items[trace->running].weights);
  trace->items[trace->running].weights = weights;
  return weights != NULL;
}
