/* A trace of one pass: what every layer returned, and how every attention weighed, by path. */
#ifndef GPT_LAYER_TRACE_H
#define GPT_LAYER_TRACE_H

#include "core/nn/layer.h"

typedef struct GptTraceEntry {
  char *path;         /* "blocks.3.attention"; the second run of a layer in the pass: "blocks.3.attention#2" */
  GptLayer *layer;    /* all three are references of the trace's own */
  GptTensor *output;  /* whatever shape the layer returned */
  GptTensor *weights; /* of an attention: [batch, heads, tokens, tokens]; or NULL */
} GptTraceEntry;

typedef struct GptTrace {
  int64_t count;
  size_t capacity;
  GptTraceEntry *items; /* in the order in which the layers began: a layer before its parts */
  int64_t running;      /* the entry of the layer that runs; -1 outside the pass */
} GptTrace;

void gpt_trace_init(GptTrace *trace);
void gpt_trace_free(GptEnv *env, GptTrace *trace);

/* Runs a layer in a pass that is traced. place: where it stands, or NULL where only the layer is known. What cannot be
 * found below the layer that runs it has no path, and is left out with all below it. */
GptTensor *gpt_trace_run(GptEnv *env, GptPass *pass, const GptChild *place, GptLayer *layer, GptTensor *x);

/* In a layer that is traced and does a part's work itself: keeps what the part would have returned. */
bool gpt_trace_part(GptEnv *env, GptPass *pass, const char *name, GptTensor *output);

/* In an attention that is traced: keeps the weights that belong to qkv [batch, tokens, 3 * dim]. */
bool gpt_trace_attention(GptEnv *env, GptPass *pass, GptTensor *qkv, int64_t n_heads);

#endif
