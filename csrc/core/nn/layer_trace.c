#include "core/nn/layer_trace.h"

#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/nn/layer_tree.h"
#include "core/ops/attention.h"

#define LONGEST 4000 /* bytes of a path */

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

/* Where a walk stands at a layer: the name of its own child that is meant, or NULL. */
static const char *child_sought(const GptLayer *parent, const GptChild *place, const GptLayer *layer) {
  for (int i = 0; i < parent->n_children; i++) {
    const GptChild *child = &parent->children[i];
    if (place != NULL ? child == place : child->layer == layer) return child->name;
  }
  return NULL;
}

/* Writes the names that lead from a layer to the place below it: its own parts come first, then theirs. Returns the
 * length; 0 where it is not there. */
static size_t find_below(GptLayer *from, const GptChild *place, const GptLayer *layer, char *path, size_t size) {
  GptWalk walk;
  gpt_walk_begin(&walk, from);
  while (gpt_walk_next_layer(&walk) != NULL) {
    const char *name = child_sought(walk.layer, place, layer);
    if (name == NULL) continue;
    size_t length = gpt_walk_path(&walk, path, size);
    if (length >= size) return length;
    return length + (size_t)snprintf(path + length, size - length, length > 0 ? ".%s" : "%s", name);
  }
  return 0;
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

static bool too_long(GptEnv *env) {
  return gpt_fail(env, "trace: the path of a layer is longer than %d bytes", LONGEST);
}

/* Writes the path of what begins now, of LONGEST bytes at most; *found is false where it has none. */
static bool find_path(GptEnv *env, const GptTrace *trace, const GptChild *place, const GptLayer *layer, char *path,
                      bool *found) {
  path[0] = '\0';
  *found = true;
  if (trace->running < 0) return true;
  const GptTraceEntry *outer = &trace->items[trace->running];
  size_t length = (size_t)snprintf(path, LONGEST, outer->path[0] != '\0' ? "%s." : "%s", outer->path);
  if (length >= LONGEST) return too_long(env);
  size_t below = find_below(outer->layer, place, layer, path + length, LONGEST - length);
  *found = below > 0;
  int runs = *found && length + below < LONGEST ? count_runs(trace, path) : 0;
  if (runs > 0) below += (size_t)snprintf(path + length + below, LONGEST - length - below, "#%d", runs + 1);
  return length + below < LONGEST || too_long(env);
}

static GptTraceEntry *add_entry(GptEnv *env, GptTrace *trace, const char *path, GptLayer *layer) {
  if (!GPT_GROW(env, trace->items, trace->capacity, trace->count, 1)) return NULL;
  char *copy = gpt_copy_string(env, path);
  if (copy == NULL) return NULL;
  GptTraceEntry *entry = &trace->items[trace->count++];
  *entry = (GptTraceEntry){.path = copy, .layer = gpt_layer_retain(layer), .outer = trace->running};
  return entry;
}

static bool began(GptObserver *observer, GptEnv *env, const GptChild *place, GptLayer *layer) {
  char path[LONGEST];
  GptTrace *trace = (GptTrace *)observer;
  bool found = trace->skipped == 0;
  if (found && !find_path(env, trace, place, layer, path, &found)) return false;
  if (!found) return trace->skipped++, true;
  if (add_entry(env, trace, path, layer) == NULL) return false;
  trace->running = trace->count - 1;
  return true;
}

static GptTensor *ended(GptObserver *observer, GptEnv *env, GptTensor *output) {
  GptTrace *trace = (GptTrace *)observer;
  (void)env;
  if (trace->skipped > 0) return trace->skipped--, output;
  GptTraceEntry *entry = &trace->items[trace->running];
  entry->output = gpt_tensor_retain(output);
  trace->running = entry->outer;
  return output;
}

static bool did_part(GptObserver *observer, GptEnv *env, const char *name, GptTensor *output) {
  char path[LONGEST];
  GptTrace *trace = (GptTrace *)observer;
  if (trace->skipped > 0) return true;
  const GptChild *place = gpt_layer_place(trace->items[trace->running].layer, name);
  bool found = place != NULL;
  if (found && !find_path(env, trace, place, place->layer, path, &found)) return false;
  if (!found) return true;
  GptTraceEntry *entry = add_entry(env, trace, path, place->layer);
  if (entry != NULL) entry->output = gpt_tensor_retain(output);
  return entry != NULL;
}

static bool attends(GptObserver *observer, GptEnv *env, GptTensor *q, GptTensor *k, GptTensor *v,
                    const GptAttentionRule *rule) {
  GptTrace *trace = (GptTrace *)observer;
  if (trace->skipped > 0) return true;
  GptTensor *weights = gpt_attention_weights(env, q, k, v, rule);
  gpt_tensor_release(trace->items[trace->running].weights);
  trace->items[trace->running].weights = weights;
  return weights != NULL;
}

void gpt_trace_init(GptTrace *trace) {
  *trace = (GptTrace){.observer = {began, ended, did_part, attends}, .running = -1};
}
