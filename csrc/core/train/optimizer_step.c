/* A step of an optimizer: every parameter cut into items, which threads take. */
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/tensor/shared.h"
#include "core/train/optimizer.h"

#define CHUNK 16384 /* numbers of an item */
#define PIECE 1024  /* of these, whose moments are floats at a time */
#define TILE 64     /* rows and columns of an item where a weight is strided */
_Static_assert(TILE == GPT_MOMENT_BLOCK && PIECE % GPT_MOMENT_BLOCK == 0, "items are whole blocks of moments");

/* How a parameter is cut into items. */
typedef enum Cut {
  CUT_RUNS,      /* contiguous: runs of CHUNK numbers */
  CUT_TILES,     /* strided: TILE rows and columns of a matrix */
  CUT_SCATTERED, /* strided, and tiles would cut blocks of moments: runs, in the gradient's order */
} Cut;

/* A parameter in a step: matrices after each other whose moments and gradient are contiguous. */
typedef struct Update {
  Cut cut;
  const GptOptimizerKind *kind;
  GptStepNumbers numbers;
  int n_moments;
  GptMomentView moments[GPT_MOMENTS];
  float *w;          /* the parameter, from its first element on, any strides */
  const float *grad; /* [rows, columns], one matrix after the other, as the moments */
  const GptTensor *tensor;
  int64_t count;         /* numbers of all matrices */
  int64_t rows, columns; /* of one matrix; these and what follows are of a strided weight */
  int64_t row_stride, column_stride, row_tiles, column_tiles;
  int64_t first; /* item */
} Update;

typedef struct Step {
  const Update *updates; /* [count] */
  int64_t count;
} Step;

typedef struct Tile {
  float *w; /* [rows, columns] with these strides */
  int64_t rows, columns, row_stride, column_stride;
} Tile;

/* Updates the n numbers at w, whose moments and gradient are at `at`. */
static void update_numbers(const Update *u, float *w, int64_t at, int64_t n) {
  float buffers[GPT_MOMENTS][PIECE], *moments[GPT_MOMENTS] = {NULL};
  for (int64_t done = 0; done < n; done += PIECE) {
    int64_t count = n - done < PIECE ? n - done : PIECE;
    for (int m = 0; m < u->n_moments; m++)
      moments[m] = gpt_moment_read(&u->moments[m], buffers[m], at + done, count);
    u->kind->update(w + done, moments, u->grad + at + done, &u->numbers, count);
    for (int m = 0; m < u->n_moments; m++) gpt_moment_write(&u->moments[m], buffers[m], at + done, count);
  }
}

/* Between a weight and a buffer [TILE, TILE], along the weight's memory. */
static void move_tile(const Tile *t, float *buffer, bool back) {
  bool down = t->row_stride < t->column_stride;
  int64_t outer = down ? t->columns : t->rows, inner = down ? t->rows : t->columns;
  int64_t outer_stride = down ? t->column_stride : t->row_stride;
  int64_t inner_stride = down ? t->row_stride : t->column_stride;
  for (int64_t i = 0; i < outer; i++)
    for (int64_t j = 0; j < inner; j++) {
      float *w = t->w + i * outer_stride + j * inner_stride, *b = buffer + (down ? j * TILE + i : i * TILE + j);
      if (back) *w = *b;
      else *b = *w;
    }
}

static void update_tile(const Update *u, int64_t item) {
  float buffer[TILE * TILE];
  int64_t column = item % u->column_tiles * TILE, row = item / u->column_tiles % u->row_tiles * TILE;
  int64_t matrix = item / u->column_tiles / u->row_tiles, rows = u->rows - row, columns = u->columns - column;
  Tile tile = {u->w + gpt_tensor_matrix(u->tensor, matrix) + row * u->row_stride + column * u->column_stride,
               rows < TILE ? rows : TILE, columns < TILE ? columns : TILE, u->row_stride, u->column_stride};
  move_tile(&tile, buffer, false);
  for (int64_t i = 0; i < tile.rows; i++)
    update_numbers(u, buffer + i * TILE, (matrix * u->rows + row + i) * u->columns + column, tile.columns);
  move_tile(&tile, buffer, true);
}

/* Between numbers of a strided weight, in its order, and a buffer. */
static void move_numbers(const Update *u, float *buffer, int64_t at, int64_t n, bool back) {
  for (int64_t i = 0; i < n; i++) {
    int64_t row = (at + i) / u->columns, column = (at + i) % u->columns;
    float *w = u->w + gpt_tensor_matrix(u->tensor, row / u->rows) + row % u->rows * u->row_stride +
               column * u->column_stride;
    if (back) *w = buffer[i];
    else buffer[i] = *w;
  }
}

/* Where rows are no whole blocks of moments: number by number. */
static void update_scattered(const Update *u, int64_t at, int64_t n) {
  float buffer[PIECE];
  for (int64_t done = 0; done < n; done += PIECE) {
    int64_t count = n - done < PIECE ? n - done : PIECE;
    move_numbers(u, buffer, at + done, count, false);
    update_numbers(u, buffer, at + done, count);
    move_numbers(u, buffer, at + done, count, true);
  }
}

static void update_item(const Update *u, int64_t item) {
  int64_t at = item * CHUNK, left = u->count - at, n = left < CHUNK ? left : CHUNK;
  switch (u->cut) {
    case CUT_RUNS: update_numbers(u, u->w + at, at, n); break;
    case CUT_TILES: update_tile(u, item); break;
    case CUT_SCATTERED: update_scattered(u, at, n); break;
  }
}

static void update_items(void *context, int64_t first, int64_t last) {
  const Step *step = context;
  int64_t i = 0;
  for (int64_t item = first; item < last; item++) {
    while (i + 1 < step->count && step->updates[i + 1].first <= item) i++;
    update_item(&step->updates[i], item - step->updates[i].first);
  }
}

/* Another one for each step and moment, whatever the parameter is called and whoever steps it. */
static uint64_t seed_of(int64_t steps, int moment) {
  return ((uint64_t)steps * GPT_MOMENTS + (uint64_t)moment + 1) * 0x9e3779b97f4a7c15u;
}

static void cut_strided(Update *u, GptMomentDtype dtype) {
  const GptTensor *t = u->tensor;
  u->rows = t->ndim > 1 ? t->shape[t->ndim - 2] : 1;
  u->columns = t->shape[t->ndim - 1];
  u->row_stride = t->ndim > 1 ? t->stride[t->ndim - 2] : 0;
  u->column_stride = t->stride[t->ndim - 1];
  u->row_tiles = (u->rows + TILE - 1) / TILE;
  u->column_tiles = (u->columns + TILE - 1) / TILE;
  u->cut = dtype == GPT_MOMENT_Q8 && u->columns % GPT_MOMENT_BLOCK != 0 ? CUT_SCATTERED : CUT_TILES;
}

static int64_t count_items(const Update *u) {
  if (u->cut != CUT_TILES) return (u->count + CHUNK - 1) / CHUNK;
  return u->count / (u->rows * u->columns) * u->row_tiles * u->column_tiles;
}

/* Fills in an update; returns how many items it has. */
static int64_t prepare_update(const GptOptimizer *optimizer, const GptOptimizerParameter *p, Update *u) {
  const GptOptimizerKind *kind = optimizer->kind;
  const GptOptimizerGroup *group = &optimizer->groups[p->group];
  const GptTensor *stepped = gpt_optimizer_stepped(p);
  int64_t first = p->shared ? p->share.first * gpt_share_row(p->tensor) : 0;
  *u = (Update){.kind = kind,
                .numbers = kind->numbers(group->rates, optimizer->lr * group->lr_scale, p->steps + 1),
                .n_moments = gpt_optimizer_moments(optimizer, p->group),
                .w = gpt_floats(stepped),
                .grad = gpt_floats(p->tensor->grad) + first,
                .tensor = stepped,
                .count = gpt_tensor_numel(stepped)};
  for (int m = 0; m < u->n_moments; m++) {
    u->moments[m] = gpt_moment_view(&p->moments[m], optimizer->moment_dtype, kind->moments[m].positive,
                                    seed_of(p->steps, m));
    u->moments[m].first = first;
  }
  if (u->count > 0 && !gpt_tensor_contiguous(stepped)) cut_strided(u, optimizer->moment_dtype);
  return count_items(u);
}

/* The parameter may be over another storage than at the last step. */
static bool renew_rows(const GptOptimizer *optimizer, GptOptimizerParameter *p) {
  GptTensor *rows = gpt_share_view(optimizer->env, p->tensor, p->share);
  if (rows == NULL) return false;
  gpt_tensor_release(p->rows);
  p->rows = rows;
  return true;
}

/* Before anything is written: a parameter that is stepped has moments, and memory that nobody shares. */
static bool make_ready(const GptOptimizer *optimizer, GptOptimizerParameter *p) {
  if (p->tensor->grad == NULL) return true;
  if (p->shared && !renew_rows(optimizer, p)) return false;
  for (int m = 0; m < gpt_optimizer_moments(optimizer, p->group); m++)
    if (!gpt_moment_make(optimizer->env, &p->moments[m], optimizer->moment_dtype, gpt_optimizer_stepped(p)))
      return false;
  return gpt_storage_make_private(p->tensor->storage);
}

/* The updates of all parameters that have gradients; returns how many items they have. */
static int64_t prepare_step(GptOptimizer *optimizer, Update *updates, int64_t *count) {
  int64_t items = 0;
  *count = 0;
  for (int64_t i = 0; i < optimizer->count; i++) {
    GptOptimizerParameter *p = &optimizer->parameters[i];
    if (p->tensor->grad == NULL) continue;
    Update *u = &updates[(*count)++];
    int64_t own = prepare_update(optimizer, p, u);
    u->first = items;
    items += own;
    p->steps++;
    gpt_tensor_written(p->tensor);
  }
  return items;
}

/* All that can fail, before anything is written. Returns room for the updates; or NULL, and then no moments stay that this
   step would have begun. */
static Update *begin_step(GptOptimizer *optimizer) {
  bool good = true;
  for (int64_t i = 0; i < optimizer->count && good; i++)
    good = gpt_optimizer_check(optimizer, &optimizer->parameters[i]);
  for (int64_t i = 0; i < optimizer->count && good; i++) good = make_ready(optimizer, &optimizer->parameters[i]);
  Update *updates = good ? gpt_alloc_array(optimizer->env, optimizer->count, sizeof *updates) : NULL;
  for (int64_t i = 0; i < optimizer->count && updates == NULL; i++)
    if (optimizer->parameters[i].steps == 0) gpt_moments_drop(optimizer->parameters[i].moments);
  return updates;
}

bool gpt_optimizer_step(GptOptimizer *optimizer) {
  int64_t count;
  Update *updates = begin_step(optimizer);
  if (updates == NULL) return false;
  int64_t items = prepare_step(optimizer, updates, &count);
  gpt_parallel_for(items, gpt_grain(CHUNK), update_items, &(Step){updates, count});
  gpt_free(optimizer->env, updates);
  return true;
}
