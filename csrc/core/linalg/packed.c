#include "core/linalg/packed.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/base/scratch.h"
#include "core/linalg/product.h"

#define FEW_WORK (1 << 16)  /* multiplications with few rows worth a hand-over to another thread */
#define PACK_FLOATS 8192    /* of the input packed by a thread at a time, at least */
#define TASKS_EACH 3        /* for each thread, so that all end at about the same time */
#define FEW_PANEL_ROWS 64   /* of the input, below which panels are read once each */
#define AHEAD 9216          /* bytes of a panel asked for before they are used, where it comes from memory; */
#define AHEAD_VERY_FEW 4608 /* with very few rows */
#define LONG_SHARE 8192     /* rows of a weight of which a thread takes half its share at a time */

typedef struct FewRows {
  const GptPacked *packed;
  const GptFewRowsKernels *kernels;
  GptFewRows product;
  GptScratch scratch; /* for the input as `prepare` has it */
} FewRows;

static void prepare_rows(const FewRows *few, char *to) {
  const GptPacked *p = few->packed;
  const int64_t bytes = few->product.x_bytes;
  for (int64_t i = 0; i < p->y.rows; i++)
    few->kernels->prepare(to + i * bytes, (const float *)((const char *)p->x.data + i * p->x.bytes), p->k);
}

/* Each thread prepares the input for itself: that takes less time than to get from another core what that has written,
   and none waits meanwhile. */
static void multiply_few_rows(void *context, int64_t first, int64_t last) {
  FewRows *few = context;
  GptFewRows product = few->product;
  float *prepared = few->kernels->prepare != NULL ? gpt_scratch_take(&few->scratch) : NULL;
  if (prepared != NULL) {
    prepare_rows(few, (char *)prepared);
    product.x = prepared;
  }
  (few->packed->w.across ? few->kernels->multiply_across : few->kernels->multiply)(&product, first, last);
  if (prepared != NULL) gpt_scratch_put(&few->scratch, prepared);
}

/* Rows of the weight in a piece; no sum depends on it. */
static int64_t few_rows_grain(int64_t n, int64_t work) {
  return gpt_round_up(gpt_larger(gpt_thread_share(n, LONG_SHARE), FEW_WORK / gpt_larger(work, 1)), 16);
}

bool gpt_few_rows_multiply(GptEnv *env, const GptPacked *p, const GptFewRowsKernels *kernels) {
  const int64_t grain = few_rows_grain(p->y.columns, p->y.rows * p->k);
  const bool prepares = kernels->prepare != NULL;
  FewRows few = {.packed = p, .kernels = kernels,
                 .product = {.y = p->y.data, .ldy = p->y.row_stride, .x = p->x.data,
                             .x_bytes = prepares ? kernels->input_bytes(p->k) : p->x.bytes, .w = p->w.data,
                             .w_bytes = p->w.bytes, .bias = p->bias, .m = p->y.rows, .k = p->k}};
  if (prepares && !gpt_scratch_init(&few.scratch, env, p->y.rows * few.product.x_bytes / (int64_t)sizeof(float),
                                    (p->y.columns + grain - 1) / grain))
    return false;
  gpt_parallel_for(p->y.columns, grain, multiply_few_rows, &few);
  if (prepares) gpt_scratch_free(&few.scratch, env);
  return true;
}

/* A task is some groups of the input by one panel of the weight. */
typedef struct Panels {
  const GptPacked *product;
  const GptWeightPanels *kernels;
  int64_t group_rows, group_bytes, groups;
  int64_t task_groups, tasks_of_panel;
  char *input;
  GptScratch scratch;
} Panels;

static GptLines lines_from(const GptLines *lines, int64_t line, int64_t number, size_t size) {
  int64_t apart = lines->across ? (int64_t)size : lines->bytes, along = lines->across ? lines->bytes : (int64_t)size;
  return (GptLines){(const char *)lines->data + line * apart + number * along, lines->bytes, lines->across};
}

static void pack_groups(void *context, int64_t first, int64_t last) {
  const Panels *o = context;
  const GptPacked *p = o->product;
  for (int64_t g = first; g < last; g++) {
    int64_t row = g * o->group_rows;
    GptLines lines = lines_from(&p->x, row, 0, sizeof(float));
    o->kernels->pack_input(o->input + g * o->group_bytes, &lines, gpt_smaller(o->group_rows, p->y.rows - row), p->k);
  }
}

/* A panel that is kept comes from memory. One group asks for what it needs soon; several ask for the next panel, a part
   each, so that memory and processor are busy all the time. */
static const char *kept_ahead(const Panels *o, const char *kept, int64_t bytes, int64_t group, int64_t groups) {
  if (groups > 1) return kept + bytes + group * bytes / groups;
  return kept + (o->group_rows <= GPT_VERY_FEW_ROWS ? AHEAD_VERY_FEW : AHEAD);
}

/* Groups [first, last) by a panel of the weight, from its row j and number `number` on */
static void multiply_groups(const Panels *o, const void *panel, int64_t j, int64_t number, int64_t depth, int64_t first,
                            int64_t last) {
  const GptPacked *p = o->product;
  const int64_t bytes = o->kernels->kept_bytes(depth);
  for (int64_t g = first; g < last; g++) {
    int64_t row = g * o->group_rows;
    GptPanelProduct product = {.y = p->y.data + row * p->y.row_stride + j, .ldy = p->y.row_stride, .panel = panel,
                               .x = o->input + g * o->group_bytes, .bias = p->bias != NULL ? p->bias + j : NULL,
                               .m = gpt_smaller(o->group_rows, p->y.rows - row),
                               .n = gpt_smaller(o->kernels->rows, p->y.columns - j), .k = depth, .first = number,
                               .add = p->add || number > 0, .ahead_every = last - first};
    if (p->kept != NULL) product.ahead = kept_ahead(o, panel, bytes, g - first, last - first);
    o->kernels->multiply(&product);
  }
}

static int64_t depth_of(const GptWeightPanels *kernels, int64_t k) {
  return kernels->depth > 0 ? gpt_smaller(kernels->depth, k) : k;
}

/* Numbers [number, number + length) of the rows of the weight from j on */
static void pack_part(const GptPacked *p, const GptWeightPanels *kernels, void *panel, int64_t j, int64_t number,
                      int64_t length) {
  GptLines lines = lines_from(&p->w, j, number, p->w_size);
  kernels->pack(panel, &lines, gpt_smaller(kernels->rows, p->y.columns - j), length);
}

int64_t gpt_kept_bytes(const GptWeightPanels *kernels, int64_t k) {
  const int64_t depth = gpt_larger(depth_of(kernels, k), 1), rest = k % depth;
  return k / depth * kernels->kept_bytes(depth) + (rest > 0 ? kernels->kept_bytes(rest) : 0);
}

int64_t gpt_pack_scratch(const GptWeightPanels *kernels, int64_t k) {
  return kernels->panel_bytes(depth_of(kernels, k)) / (int64_t)sizeof(float) + 1;
}

void gpt_pack_panel(const GptPacked *p, const GptWeightPanels *kernels, int64_t number, char *kept, float *scratch) {
  const int64_t depth = gpt_larger(depth_of(kernels, p->k), 1);
  for (int64_t at = 0; at < p->k; at += depth) {
    const int64_t length = gpt_smaller(depth, p->k - at), bytes = kernels->kept_bytes(length);
    pack_part(p, kernels, scratch, number * kernels->rows, at, length);
    memcpy(kept, scratch, (size_t)bytes);
    kept += bytes;
  }
}

static void multiply_panels(void *context, int64_t first, int64_t last) {
  Panels *o = context;
  const GptPacked *p = o->product;
  const int64_t depth = gpt_larger(depth_of(o->kernels, p->k), 1), kept_bytes = gpt_kept_bytes(o->kernels, p->k);
  float *scratch = p->kept == NULL ? gpt_scratch_take(&o->scratch) : NULL;
  for (int64_t t = first; t < last; t++) {
    int64_t panel = t / o->tasks_of_panel, group = t % o->tasks_of_panel * o->task_groups, number = 0;
    const char *kept = p->kept != NULL ? p->kept + panel * kept_bytes : NULL;
    do {
      int64_t length = gpt_smaller(depth, p->k - number), j = panel * o->kernels->rows;
      if (kept == NULL) pack_part(p, o->kernels, scratch, j, number, length);
      multiply_groups(o, kept != NULL ? (const void *)kept : scratch, j, number, length, group,
                      gpt_smaller(group + o->task_groups, o->groups));
      if (kept != NULL) kept += o->kernels->kept_bytes(length);
      number += length;
    } while (number < p->k);
  }
  if (scratch != NULL) gpt_scratch_put(&o->scratch, scratch);
}

/* Bytes of all groups of so many rows: kernels are for some sizes only, and what a group is filled up with takes time. */
static int64_t cut_bytes(const GptPacked *p, const GptWeightPanels *kernels, int64_t group_rows) {
  const int64_t rest = p->y.rows % group_rows;
  return p->y.rows / group_rows * kernels->group_bytes(group_rows, p->k) + (rest > 0 ? kernels->group_bytes(rest, p->k) : 0);
}

static int64_t group_rows_of(const GptPacked *p, const GptWeightPanels *kernels) {
  const int64_t most = kernels->group_rows, fewer = most - most / 3;
  return cut_bytes(p, kernels, fewer) < cut_bytes(p, kernels, most) ? fewer : most;
}

/* Groups as large as there are kernels for; of few panels each is multiplied in several tasks. */
static int64_t cut_panels(Panels *o) {
  const GptPacked *p = o->product;
  o->group_rows = gpt_smaller(group_rows_of(p, o->kernels), p->y.rows);
  o->groups = (p->y.rows + o->group_rows - 1) / o->group_rows;
  o->group_bytes = o->kernels->group_bytes(o->group_rows, p->k);
  int64_t panels = (p->y.columns + o->kernels->rows - 1) / o->kernels->rows;
  int64_t wanted = gpt_threads() > 1 ? TASKS_EACH * gpt_threads() : 1;
  int64_t parts = gpt_smaller((wanted + panels - 1) / panels, o->groups);
  o->task_groups = (o->groups + parts - 1) / parts;
  o->tasks_of_panel = (o->groups + o->task_groups - 1) / o->task_groups;
  return panels * o->tasks_of_panel;
}

/* Panels that are kept come from memory, which likes long runs. */
static int64_t panels_grain(const GptPacked *p, int64_t tasks) {
  return p->kept != NULL && p->y.rows < FEW_PANEL_ROWS ? gpt_larger(tasks / (2 * gpt_threads()), 1) : 1;
}

bool gpt_panels_multiply(GptEnv *env, const GptPacked *p, const GptWeightPanels *kernels) {
  Panels o = {.product = p, .kernels = kernels};
  if (p->y.rows <= 0 || p->y.columns <= 0) return true;
  const int64_t tasks = cut_panels(&o), scratch = p->kept == NULL ? gpt_pack_scratch(kernels, p->k) : 0;
  o.input = gpt_alloc(env, (size_t)(o.groups * o.group_bytes));
  if (o.input == NULL) return false;
  bool done = scratch == 0 || gpt_scratch_init(&o.scratch, env, scratch, tasks);
  if (done) {
    gpt_parallel_for(o.groups, 1 + PACK_FLOATS / (o.group_rows * p->k + 1), pack_groups, &o);
    gpt_parallel_for(tasks, panels_grain(p, tasks), multiply_panels, &o);
    if (scratch > 0) gpt_scratch_free(&o.scratch, env);
  }
  gpt_free(env, o.input);
  return done;
}
