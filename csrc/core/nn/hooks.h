/*
 * Hooks: functions of the host that see what chosen layers return in a pass, and may put something else in its place.
 */
#ifndef GPT_HOOKS_H
#define GPT_HOOKS_H

#include "core/nn/layer.h"

typedef struct GptHooks GptHooks;

/* Called with what the layer of hook i returned (from 0 on), which it takes over; returns what is to be used, or NULL
 * and a message. */
typedef GptTensor *(*GptHookCall)(GptEnv *env, GptHooks *hooks, GptPass *pass, int i, GptTensor *output);

/* Watches a pass for them. */
struct GptHooks {
  GptObserver observer;
  GptPass *pass;      /* the one that is watched, or NULL */
  GptHookCall call;
  int count;
  GptLayer **layers;  /* [count], held: wherever one runs, its hook is called */
  int depth;          /* layers running inside each other */
  GptLayer **running; /* [depth], borrowed */
  size_t layers_capacity, running_capacity;
};

void gpt_hooks_init(GptHooks *hooks, GptHookCall call);
bool gpt_hooks_add(GptEnv *env, GptHooks *hooks, GptLayer *layer); /* the next hook */
void gpt_hooks_free(GptEnv *env, GptHooks *hooks);

/* Runs the layer in a pass that they watch; hooks may be NULL. Fails where they watch another one already, which calls
 * this from one of them. */
GptTensor *gpt_hooks_run(GptEnv *env, GptHooks *hooks, GptPass *pass, GptLayer *layer, GptTensor *x);

#endif
