/* A step of an optimizer: every parameter cut into items, which threads take. */
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/linalg/matrix.h"
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
  CUT_MATRIX,    /* not at all: its rule needs whole matrices */
} Cut;

/* A parameter in a step: matrices after each other whose moments and gradient are contiguous. */
typedef struct Update {
  Cut cut;
  const GptUpdateRule *rule;
  GptStepNumbers numbers;
  GptMatrixStep matrix;
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
  GptEnv *env;
  Update *updates; /* [count] */
  int64_t count, items;
  int64_t matrices, largest; /* items that are whole matrices, and floats of scratch for any of them */
  GptScratch scratch;
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
    for (int m = 0; m < u->rule->n_moments; m++)
      moments[m] = gpt_moment_read(&u->moments[m], buffers[m], at + done, count);
    u->rule->update(w + done, moments, u->grad + at + done, &u->numbers, count);
    for (int m = 0; m < u->rule->n_moments; m++) gpt_moment_write(&u->moments[m], buffers[m], at + done, count);
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

/* w = keep * w - rate * direction, along the weight's memory. */
static void move_along(const Update *u, const float *direction) {
  bool down = u->row_stride < u->column_stride;
  int64_t outer = down ? u->columns : u->rows, inner = down ? u->rows : u->columns;
  for (int64_t i = 0; i < outer; i++)
    for (int64_t j = 0; j < inner; j++) {
      int64_t row = down ? j : i, column = down ? i : j;
      float *w = u->w + row * u->row_stride + column * u->column_stride;
      *w = u->matrix.keep * *w - u->matrix.rate * direction[row * u->columns + column];
    }
}

static void update_matrix(const Update *u, float *scratch) {
  float *direction = scratch;
  memset(direction, 0, (size_t)u->count * sizeof *direction);
  update_numbers(u, direction, 0, u->count);
  u->rule->matrix->direct(direction, u->rows, u->columns, scratch + u->count);
  move_along(u, direction);
}

static void update_with_scratch(Step *step, const Update *u) {
  float *scratch = gpt_scratch_take(&step->scratch);
  update_matrix(u, scratch);
  gpt_scratch_put(&step->scratch, scratch);
}

static void update_item(Step *step, const Update *u, int64_t item) {
  int64_t at = item * CHUNK, left = u->count - at, n = left < CHUNK ? left : CHUNK;
  switch (u->cut) {
    case CUT_RUNS: update_numbers(u, u->w + at, at, n); break;
    case CUT_TILES: update_tile(u, item); break;
    case CUT_SCATTERED: update_scattered(u, at, n); break;
    case CUT_MATRIX: update_with_scratch(step, u); break;
  }
}

static void update_items(void *context, int64_t first, int64_t last) {
  Step *step = context;
  int64_t i = 0;
  for (int64_t item = first; item < last; item++) {
    while (i + 1 < step->count && step->updates[i + 1].first <= item) i++;
    update_item(step, &step->updates[i], item - step->updates[i].first);
  }
}

/* Another one for each step and moment, whatever the parameter is called and whoever steps it. */
static uint64_t seed_of(int64_t steps, int moment) {
  return ((uint64_t)steps * GPT_MOMENTS + (uint64_t)moment + 1) * 0x9e3779b97f4a7c15u;
}

static void cut_strided(Update *u, GptMomentDtype dtype) {
  u->row_tiles = (u->rows + TILE - 1) / TILE;
  u->column_tiles = (u->columns + TILE - 1) / TILE;
  u->cut = dtype == GPT_MOMENT_Q8 && u->columns % GPT_MOMENT_BLOCK != 0 ? CUT_SCATTERED : CUT_TILES;
}

static void cut_update(Update *u, GptMomentDtype dtype) {
  const GptTensor *t = u->tensor;
  u->rows = t->ndim > 1 ? t->shape[t->ndim - 2] : 1;
  u->columns = t->ndim > 0 ? t->shape[t->ndim - 1] : 1;
  u->row_stride = t->ndim > 1 ? t->stride[t->ndim - 2] : 0;
  u->column_stride = t->ndim > 0 ? t->stride[t->ndim - 1] : 1;
  if (u->rule->matrix != NULL) u->cut = CUT_MATRIX;
  else if (u->count > 0 && !gpt_tensor_contiguous(t)) cut_strided(u, dtype);
}

static int64_t count_items(const Update *u) {
  if (u->cut == CUT_MATRIX) return 1;
  if (u->cut != CUT_TILES) return (u->count + CHUNK - 1) / CHUNK;
  return u->count / (u->rows * u->columns) * u->row_tiles * u->column_tiles;
}

static Update update_of(const GptOptimizer *optimizer, const GptOptimizerParameter *p) {
  const GptOptimizerGroup *group = &optimizer->groups[p->group];
  const GptUpdateRule *rule = gpt_optimizer_rule(optimizer, p);
  const GptTensor *stepped = gpt_optimizer_stepped(p);
  int64_t first = p->shared ? p->share.first * gpt_share_row(p->tensor) : 0;
  double lr = optimizer->lr * group->lr_scale;
  Update u = {.rule = rule,
              .numbers = rule->numbers(group->rates, lr, p->steps + 1),
              .w = gpt_floats(stepped),
              .grad = gpt_floats(p->tensor->grad) + first,
              .tensor = stepped,
              .count = gpt_tensor_numel(stepped)};
  for (int m = 0; m < rule->n_moments; m++) {
    u.moments[m] =
        gpt_moment_view(&p->moments[m], optimizer->moment_dtype, rule->moments[m].positive, seed_of(p->steps, m));
    u.moments[m].first = first;
  }
  cut_update(&u, optimizer->moment_dtype);
  if (rule->matrix != NULL) u.matrix = rule->matrix->numbers(group->rates, lr, u.rows, u.columns);
  return u;
}

/* Adds a parameter's update, with as many items as it has. */
static void add_update(Step *step, Update u) {
  u.first = step->items;
  step->items += count_items(&u);
  step->updates[step->count++] = u;
  if (u.cut != CUT_MATRIX) return;
  int64_t floats = u.count + u.rule->matrix->scratch(u.rows, u.columns);
  step->matrices++;
  if (floats > step->largest) step->largest = floats;
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
  for (int m = 0; m < gpt_optimizer_rule(optimizer, p)->n_moments; m++)
    if (!gpt_moment_make(optimizer->env, &p->moments[m], optimizer->moment_dtype, gpt_optimizer_stepped(p)))
      return false;
  return gpt_storage_make_private(p->tensor->storage);
}

/* No moments stay that a step would have begun. */
static void drop_begun(GptOptimizer *optimizer) {
  for (int64_t i = 0; i < optimizer->count; i++)
    if (optimizer->parameters[i].steps == 0) gpt_moments_drop(optimizer->parameters[i].moments);
}

/* All that can fail, before anything is written. */
static bool prepare_step(const GptOptimizer *optimizer, Step *step) {
  for (int64_t i = 0; i < optimizer->count; i++)
    if (!gpt_optimizer_check(optimizer, &optimizer->parameters[i])) return false;
  for (int64_t i = 0; i < optimizer->count; i++)
    if (!make_ready(optimizer, &optimizer->parameters[i])) return false;
  step->updates = gpt_alloc_array(step->env, optimizer->count, sizeof *step->updates);
  if (step->updates == NULL) return false;
  for (int64_t i = 0; i < optimizer->count; i++)
    if (optimizer->parameters[i].tensor->grad != NULL) add_update(step, update_of(optimizer, &optimizer->parameters[i]));
  return step->matrices == 0 || gpt_matrix_scratch_init(&step->scratch, step->env, step->largest, step->matrices);
}

static void count_step(GptOptimizer *optimizer) {
  for (int64_t i = 0; i < optimizer->count; i++) {
    GptOptimizerParameter *p = &optimizer->parameters[i];
    if (p->tensor->grad == NULL) continue;
    p->steps++;
    gpt_tensor_written(p->tensor);
  }
}

bool gpt_optimizer_step(GptOptimizer *optimizer) {
  Step step = {.env = optimizer->env};
  uintptr_t before = gpt_env_enter(step.env);
  bool ready = prepare_step(optimizer, &step);
  if (ready) {
    count_step(optimizer);
    gpt_parallel_for(step.items, step.matrices > 0 ? 1 : gpt_grain(CHUNK), update_items, &step);
  } else {
    drop_begun(optimizer);
  }
  if (step.matrices > 0) gpt_scratch_free(&step.scratch, step.env);
  gpt_free(step.env, step.updates);
  gpt_env_leave(step.env, before);
  return ready;
}
