/* A trace of one pass: what every layer returned, and how every attention weighed, by path. */
#ifndef GPT_LAYER_TRACE_H
#define GPT_LAYER_TRACE_H

#include "core/nn/layer.h"

typedef struct GptTraceEntry {
  char *path;         /* "blocks.3.attention"; the second run of a layer in the pass: "blocks.3.attention#2" */
  GptLayer *layer;    /* all three are references of the trace's own */
  GptTensor *output;  /* whatever shape the layer returned */
  GptTensor *weights; /* of an attention: [batch, heads, tokens, tokens]; or NULL */
  int64_t outer;      /* the entry of the layer that it ran in, or -1 */
} GptTraceEntry;

/* Watches a pass. What runs but cannot be found below the layer that runs it has no path, and is left out with all
 * below it. */
typedef struct GptTrace {
  GptObserver observer;
  int64_t count;
  size_t capacity;
  GptTraceEntry *items; /* in the order in which the layers began: a layer before its parts */
  int64_t running;      /* the entry of the layer that runs; -1 outside the pass */
  int skipped;          /* layers that run without an entry */
} GptTrace;

void gpt_trace_init(GptTrace *trace);
void gpt_trace_free(GptEnv *env, GptTrace *trace);

#endif
