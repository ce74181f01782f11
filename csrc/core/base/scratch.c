#include "core/base/scratch.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"

bool gpt_scratch_init(GptScratch *scratch, GptEnv *env, int64_t floats, int64_t items) {
  int threads = gpt_threads(), pieces = items < threads ? (int)items : threads;
  floats = (floats < 1 ? 16 : floats + 15) / 16 * 16; /* whole cache lines, so that no two pieces share one */
  *scratch = (GptScratch){.floats = floats, .pieces = pieces};
  scratch->taken = gpt_alloc_array_zeroed(env, pieces, sizeof *scratch->taken);
  scratch->data = gpt_alloc_array(env, pieces, gpt_size_multiply(floats, sizeof(float)));
  if (scratch->taken != NULL && scratch->data != NULL) return true;
  gpt_scratch_free(scratch, env);
  return false;
}

void gpt_scratch_free(GptScratch *scratch, GptEnv *env) {
  gpt_free(env, scratch->data);
  gpt_free(env, scratch->taken);
  *scratch = (GptScratch){0};
}

/* More threads than pieces compute only while somebody raises the number of threads: then they wait here. */
float *gpt_scratch_take(GptScratch *scratch) {
  for (int i = 0;; i = (i + 1) % scratch->pieces)
    if (!atomic_exchange(&scratch->taken[i], true)) return scratch->data + i * scratch->floats;
}

void gpt_scratch_put(GptScratch *scratch, const float *piece) {
  atomic_store(&scratch->taken[(piece - scratch->data) / scratch->floats], false);
}
