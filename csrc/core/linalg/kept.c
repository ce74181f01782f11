#include "core/linalg/kept.h"

#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/base/scratch.h"
#include "core/linalg/packed.h"
#include "core/linalg/packed_weight.h"
#include "core/linalg/product.h"

struct GptKeptPanels {
  GptWeight weight; /* what they hold */
  const GptWeightPanels *kernels;
  int64_t bytes; /* of a panel */
  _Alignas(64) char panels[];
};

static const GptWeightPanels *kernels_for(const GptWeight *w) { return gpt_weight_panels(w->dtype); }

static int64_t panels_of(const GptWeight *w, const GptWeightPanels *kernels) {
  return (w->rows + kernels->rows - 1) / kernels->rows;
}

size_t gpt_kept_size(const GptWeight *w) {
  const GptWeightPanels *kernels = kernels_for(w);
  const bool useful = w->dtype != GPT_F32 && kernels != NULL && w->rows > 0 && w->columns > 0 && gpt_weight_fits(w);
  return useful ? sizeof(GptKeptPanels) + (size_t)(panels_of(w, kernels) * gpt_kept_bytes(kernels, w->columns)) : 0;
}

typedef struct Keeping {
  GptKeptPanels *kept;
  GptPacked product;
  GptScratch scratch;
} Keeping;

static void keep_panels(void *context, int64_t first, int64_t last) {
  Keeping *keeping = context;
  GptKeptPanels *kept = keeping->kept;
  float *scratch = gpt_scratch_take(&keeping->scratch);
  for (int64_t i = first; i < last; i++)
    gpt_pack_panel(&keeping->product, kept->kernels, i, kept->panels + i * kept->bytes, scratch);
  gpt_scratch_put(&keeping->scratch, scratch);
}

GptKeptPanels *gpt_kept_make(GptEnv *env, const GptWeight *w, void *memory) {
  const GptWeightPanels *kernels = kernels_for(w);
  const int64_t panels = panels_of(w, kernels);
  const GptMatrix none = {.rows = 0, .columns = w->rows};
  Keeping keeping = {.product = gpt_packed_weight(none, none, w, NULL)};
  if (!gpt_scratch_init(&keeping.scratch, env, gpt_pack_scratch(kernels, w->columns), panels)) return NULL;
  keeping.kept = memory;
  *keeping.kept = (GptKeptPanels){.weight = *w, .kernels = kernels, .bytes = gpt_kept_bytes(kernels, w->columns)};
  gpt_parallel_for(panels, 1, keep_panels, &keeping);
  gpt_scratch_free(&keeping.scratch, env);
  return keeping.kept;
}

double gpt_kept_ratio(const GptWeight *w) {
  const GptKeptPanels *kept = w->kept;
  const size_t rows = gpt_dtype_bytes(w->dtype, kept->kernels->rows * w->columns);
  return (double)kept->bytes / (double)gpt_round_up((int64_t)rows, 64);
}

const char *gpt_kept_panel(const GptWeight *w) {
  const GptKeptPanels *kept = w->kept;
  if (kept == NULL || w->columns != kept->weight.columns || w->row_stride != kept->weight.row_stride ||
      w->column_stride != kept->weight.column_stride)
    return NULL;
  const int64_t row_bytes = (int64_t)gpt_dtype_bytes(w->dtype, w->row_stride);
  const int64_t apart = (const char *)w->data - (const char *)kept->weight.data, row = apart / row_bytes;
  if (apart < 0 || apart % row_bytes != 0 || row % kept->kernels->rows != 0 || row + w->rows > kept->weight.rows)
    return NULL;
  return kept->panels + row / kept->kernels->rows * kept->bytes;
}
