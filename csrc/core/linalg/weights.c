#include "core/linalg/weights.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/linalg/kept.h"
#include "core/linalg/packed_weight.h"

#define PANEL_FLOATS ((int64_t)1 << 20) /* of converted weights at a time */
#define PANEL_ROWS 64                   /* of a weight, at least, and a multiple of it */
#define KEPT_ROWS 3                     /* from which on panels made ahead are faster than the weight, as measured */
#define PIECE_FLOATS 8192               /* converted by a thread at a time, at least */

/* A float weight as a matrix. */
static GptMatrix matrix_of(const GptWeight *w) {
  return (GptMatrix){(float *)w->data, w->rows, w->columns, w->row_stride, w->column_stride};
}

bool gpt_weight_fits(const GptWeight *w) { return gpt_matrix_fits(matrix_of(w)); }

static const void *number_at(const GptWeight *w, int64_t row, int64_t column) {
  return (const char *)w->data + gpt_dtype_bytes(w->dtype, row * w->row_stride + column * w->column_stride);
}

static bool lies_by_rows(const GptWeight *w) { return w->column_stride == 1 || w->columns <= 1; }

/* Rows [first, first + count) of a weight, converted: as [count, columns] where its rows lie side by side, else as
   [columns, count]. */
typedef struct Panel {
  const GptWeight *weight;
  int64_t first, count;
  float *floats;
} Panel;

static void convert_lines(void *context, int64_t first, int64_t last) {
  const Panel *panel = context;
  const GptWeight *w = panel->weight;
  void (*to_floats)(float *, const void *, int64_t) = gpt_dtype(w->dtype)->to_floats;
  for (int64_t i = first; i < last; i++) {
    if (lies_by_rows(w)) to_floats(panel->floats + i * w->columns, number_at(w, panel->first + i, 0), w->columns);
    else to_floats(panel->floats + i * panel->count, number_at(w, panel->first, i), panel->count);
  }
}

static GptMatrix convert_panel(const Panel *panel) {
  const GptWeight *w = panel->weight;
  bool by_rows = lies_by_rows(w);
  int64_t lines = by_rows ? panel->count : w->columns, width = by_rows ? w->columns : panel->count;
  gpt_parallel_for(lines, 1 + PIECE_FLOATS / (width + 1), convert_lines, (void *)panel);
  return by_rows ? (GptMatrix){panel->floats, panel->count, w->columns, w->columns, 1}
                 : (GptMatrix){panel->floats, panel->count, w->columns, 1, panel->count};
}

/* Rows of a panel: by shape alone. */
static int64_t panel_rows(const GptWeight *w) {
  int64_t rows = PANEL_FLOATS / (w->columns + 1) / PANEL_ROWS * PANEL_ROWS;
  if (rows < PANEL_ROWS) rows = PANEL_ROWS;
  return rows < w->rows ? rows : w->rows;
}

static GptMatrix columns_of_matrix(GptMatrix m, int64_t first, int64_t count) {
  return (GptMatrix){m.data + first * m.column_stride, m.rows, count, m.row_stride, m.column_stride};
}

/* Converts a weight panel by panel; use multiplies with the panel whose first row is `first`. */
typedef bool (*PanelUse)(GptEnv *env, const void *context, GptMatrix panel, int64_t first);

static bool each_panel(GptEnv *env, const GptWeight *w, PanelUse use, const void *context) {
  Panel panel = {.weight = w, .floats = NULL};
  int64_t most = panel_rows(w);
  panel.floats = gpt_alloc_array(env, most * (w->columns > 0 ? w->columns : 1), sizeof *panel.floats);
  bool done = panel.floats != NULL;
  for (panel.first = 0; panel.first < w->rows && done; panel.first += most) {
    panel.count = w->rows - panel.first < most ? w->rows - panel.first : most;
    done = use(env, context, convert_panel(&panel), panel.first);
  }
  gpt_free(env, panel.floats);
  return done;
}

typedef struct Forward {
  GptMatrix y, x;
  const float *bias;
} Forward;

static bool multiply_panel(GptEnv *env, const void *context, GptMatrix panel, int64_t first) {
  const Forward *f = context;
  return gpt_matrix_multiply(env, columns_of_matrix(f->y, first, panel.rows), f->x, gpt_matrix_transposed(panel),
                             f->bias != NULL ? f->bias + first : NULL, false);
}

GptPacked gpt_packed_weight(GptMatrix y, GptMatrix x, const GptWeight *w, const float *bias) {
  const bool across = !lies_by_rows(w), x_across = x.column_stride != 1 && x.columns > 1;
  return (GptPacked){
      .y = y, .k = w->columns, .bias = bias,
      .x = {x.data, (x_across ? x.column_stride : x.row_stride) * (int64_t)sizeof(float), x_across},
      .w = {w->data, (int64_t)gpt_dtype_bytes(w->dtype, across ? w->column_stride : w->row_stride), across},
      .w_size = gpt_dtype_blocked(w->dtype) ? 0 : gpt_dtype_bytes(w->dtype, 1),
  };
}

/* The kernels for so few rows, or NULL. */
static const GptFewRowsKernels *few_rows_kernels(const GptWeightKernels *kernels, const GptPacked *p) {
  const int64_t rows = p->y.rows;
  if (kernels->few == NULL || p->x.across) return NULL;
  if (p->w.across) return rows <= kernels->few->most_across ? kernels->few : NULL;
  if (rows <= kernels->few->most) return kernels->few;
  return kernels->some != NULL && rows <= kernels->some->most ? kernels->some : NULL;
}

/* Panels that were made ahead, where so many rows are faster with them; or NULL. For fewer rows, which memory bounds,
   those of blocks are where they are no larger than the weight. */
static const char *kept_panels(const GptWeight *w, const GptPacked *p) {
  const char *kept = p->x.across ? NULL : gpt_kept_panel(w);
  if (kept == NULL || p->y.rows >= KEPT_ROWS) return kept;
  return gpt_dtype_blocked(w->dtype) && gpt_kept_ratio(w) <= 1.0 ? kept : NULL;
}

bool gpt_weight_multiply(GptEnv *env, GptMatrix y, GptMatrix x, GptWeight w, const float *bias) {
  if (w.dtype == GPT_F32) return gpt_matrix_multiply(env, y, x, gpt_matrix_transposed(matrix_of(&w)), bias, false);
  const GptWeightKernels *kernels = &gpt_kernels()->weights[w.dtype];
  GptPacked product = gpt_packed_weight(y, x, &w, bias);
  product.kept = kept_panels(&w, &product);
  const GptFewRowsKernels *few = product.kept == NULL ? few_rows_kernels(kernels, &product) : NULL;
  if (few != NULL) return gpt_few_rows_multiply(env, &product, few);
  const GptWeightPanels *panels = gpt_weight_panels(w.dtype);
  if (panels != NULL && (!product.x.across || !gpt_dtype_blocked(w.dtype)))
    return gpt_panels_multiply(env, &product, panels);
  return each_panel(env, &w, multiply_panel, &(Forward){y, x, bias});
}

typedef struct Back {
  GptMatrix dx, dy;
  bool add;
} Back;

static bool multiply_panel_back(GptEnv *env, const void *context, GptMatrix panel, int64_t first) {
  const Back *b = context;
  return gpt_matrix_multiply(env, b->dx, columns_of_matrix(b->dy, first, panel.rows), panel, NULL, b->add || first > 0);
}

bool gpt_weight_multiply_back(GptEnv *env, GptMatrix dx, GptMatrix dy, GptWeight w, bool add) {
  if (w.dtype == GPT_F32 || w.rows == 0) return gpt_matrix_multiply(env, dx, dy, matrix_of(&w), NULL, add);
  const GptWeightPanels *panels =
      env->bf16_products && !gpt_dtype_blocked(w.dtype) ? gpt_weight_panels(w.dtype) : NULL;
  if (panels != NULL) {
    const GptWeight turned = {w.dtype, w.data, w.columns, w.rows, w.column_stride, w.row_stride, NULL};
    GptPacked product = gpt_packed_weight(dx, dy, &turned, NULL);
    product.add = add;
    return gpt_panels_multiply(env, &product, panels);
  }
  return each_panel(env, &w, multiply_panel_back, &(Back){dx, dy, add});
}
