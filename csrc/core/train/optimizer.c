#include "core/train/optimizer.h"

#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/tensor/shared.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"

#define CHUNK 16384 /* numbers of an item */
#define TILE 64     /* rows and columns of an item where a weight is strided */

GptAdamW *gpt_adamw_new(GptEnv *env, double lr) {
  GptAdamW *adamw = gpt_alloc_zeroed(env, sizeof *adamw);
  if (adamw != NULL) adamw->env = env, adamw->lr = lr;
  return adamw;
}

static void drop_moments(GptAdamParameter *parameter) {
  gpt_tensor_release(parameter->mean);
  gpt_tensor_release(parameter->square);
  parameter->mean = parameter->square = NULL;
  parameter->steps = 0;
}

void gpt_adamw_free(GptAdamW *adamw) {
  if (adamw == NULL) return;
  for (int64_t i = 0; i < adamw->count; i++) {
    gpt_free(adamw->env, adamw->parameters[i].name);
    gpt_tensor_release(adamw->parameters[i].tensor);
    drop_moments(&adamw->parameters[i]);
  }
  gpt_free(adamw->env, adamw->parameters);
  gpt_free(adamw->env, adamw->groups);
  gpt_free(adamw->env, adamw);
}

bool gpt_adamw_add_group(GptAdamW *adamw, GptAdamRates rates) {
  if (!GPT_GROW(adamw->env, adamw->groups, adamw->groups_capacity, adamw->n_groups, 1)) return false;
  adamw->groups[adamw->n_groups++] = rates;
  return true;
}

static bool shares_memory(const GptTensor *tensor) {
  for (int d = 0; d < tensor->ndim; d++)
    if (tensor->stride[d] == 0 && tensor->shape[d] > 1) return true;
  return false;
}

static bool check_dtype(GptAdamW *adamw, const char *name, const GptTensor *tensor) {
  return tensor->storage->dtype == GPT_F32 ||
         gpt_fail(adamw->env, "parameter '%.200s' is %s: training needs f32 weights; model:to \"f32\" converts them",
                  name, gpt_dtype_name(tensor->storage->dtype));
}

static bool check_parameter(GptAdamW *adamw, const char *name, const GptTensor *tensor) {
  if (!check_dtype(adamw, name, tensor)) return false;
  if (tensor->node != NULL)
    return gpt_fail(adamw->env, "parameter '%.200s' was computed from others; a leaf that requires a gradient expected",
                    name);
  if (shares_memory(tensor))
    return gpt_fail(adamw->env, "parameter '%.200s' has elements that share memory (it was expanded)", name);
  for (int64_t i = 0; i < adamw->count; i++)
    if (adamw->parameters[i].tensor == tensor)
      return gpt_fail(adamw->env, "parameter '%.200s' is there already, as '%.200s'", name, adamw->parameters[i].name);
  return true;
}

bool gpt_adamw_add(GptAdamW *adamw, int64_t group, const char *name, GptTensor *tensor) {
  if (!check_parameter(adamw, name, tensor)) return false;
  if (!GPT_GROW(adamw->env, adamw->parameters, adamw->capacity, adamw->count, 1)) return false;
  char *copy = gpt_copy_string(adamw->env, name);
  if (copy == NULL) return false;
  adamw->parameters[adamw->count++] =
      (GptAdamParameter){.name = copy, .group = group, .tensor = gpt_tensor_retain(tensor)};
  return true;
}

/* A parameter in a step: matrices after each other whose moments and gradient are contiguous, cut into items. */
typedef struct Update {
  GptAdamStep step;
  float *w;             /* the parameter, from its first element on, any strides */
  float *mean, *square; /* [rows, columns], one matrix after the other */
  const float *grad;    /* the same */
  const GptTensor *tensor;
  int64_t rows, columns;         /* of one matrix */
  int64_t row_tiles, row_stride; /* of a strided weight; row_tiles is 0 for a contiguous one */
  int64_t column_tiles, column_stride;
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
  for (int64_t i = 0; i < tile.rows; i++) {
    int64_t at = (matrix * u->rows + row + i) * u->columns + column;
    gpt_kernels()->adamw(buffer + i * TILE, u->mean + at, u->square + at, u->grad + at, &u->step, tile.columns);
  }
  move_tile(&tile, buffer, true);
}

static void update_chunk(const Update *u, int64_t item) {
  int64_t at = item * CHUNK, left = u->columns - at;
  gpt_kernels()->adamw(u->w + at, u->mean + at, u->square + at, u->grad + at, &u->step, left < CHUNK ? left : CHUNK);
}

static void update_items(void *context, int64_t first, int64_t last) {
  const Step *step = context;
  int64_t i = 0;
  for (int64_t item = first; item < last; item++) {
    while (i + 1 < step->count && step->updates[i + 1].first <= item) i++;
    const Update *u = &step->updates[i];
    if (u->row_tiles > 0) update_tile(u, item - u->first);
    else update_chunk(u, item - u->first);
  }
}

/* The formula's numbers for a parameter's next step, computed in double as PyTorch does. */
static GptAdamStep step_numbers(const GptAdamRates *r, double lr, int64_t steps) {
  double mean_correction = 1 - pow(r->beta1, (double)steps), square_correction = 1 - pow(r->beta2, (double)steps);
  return (GptAdamStep){
      .mean_share = (float)(1 - r->beta1),
      .square_keep = (float)r->beta2,
      .square_share = (float)(1 - r->beta2),
      .keep = (float)(1 - lr * r->weight_decay),
      .rate = (float)(lr / mean_correction),
      .root_scale = (float)(1 / sqrt(square_correction)),
      .eps = (float)r->eps,
  };
}

/* Fills in an update; returns how many items it has. */
static int64_t prepare_update(const GptAdamW *adamw, const GptAdamParameter *p, Update *u) {
  const GptTensor *t = p->tensor;
  const GptAdamRates *rates = &adamw->groups[p->group];
  int64_t n = gpt_tensor_numel(t);
  *u = (Update){.step = step_numbers(rates, adamw->lr * rates->lr_scale, p->steps + 1),
                .w = gpt_floats(t),
                .mean = gpt_floats(p->mean),
                .square = gpt_floats(p->square),
                .grad = gpt_floats(t->grad),
                .tensor = t,
                .rows = 1,
                .columns = n};
  if (gpt_tensor_contiguous(t)) return (n + CHUNK - 1) / CHUNK;
  u->rows = t->ndim > 1 ? t->shape[t->ndim - 2] : 1;
  u->columns = t->shape[t->ndim - 1];
  u->row_stride = t->ndim > 1 ? t->stride[t->ndim - 2] : 0;
  u->column_stride = t->stride[t->ndim - 1];
  u->row_tiles = (u->rows + TILE - 1) / TILE;
  u->column_tiles = (u->columns + TILE - 1) / TILE;
  return n / (u->rows * u->columns) * u->row_tiles * u->column_tiles;
}

static bool make_moments(GptEnv *env, GptAdamParameter *p) {
  if (p->mean == NULL) p->mean = gpt_tensor_zeros(env, GPT_F32, p->tensor->ndim, p->tensor->shape);
  if (p->square == NULL) p->square = gpt_tensor_zeros(env, GPT_F32, p->tensor->ndim, p->tensor->shape);
  return p->mean != NULL && p->square != NULL;
}

/* Before anything is written: a parameter that is stepped has moments, and memory that nobody shares. */
static bool make_ready(GptEnv *env, GptAdamParameter *p) {
  return p->tensor->grad == NULL || (make_moments(env, p) && gpt_storage_make_private(p->tensor->storage));
}

bool gpt_adamw_step(GptAdamW *adamw) {
  int64_t items = 0, count = 0;
  for (int64_t i = 0; i < adamw->count; i++)
    if (!check_dtype(adamw, adamw->parameters[i].name, adamw->parameters[i].tensor)) return false;
  for (int64_t i = 0; i < adamw->count; i++)
    if (!make_ready(adamw->env, &adamw->parameters[i])) return false;
  Update *updates = gpt_alloc_array(adamw->env, adamw->count, sizeof *updates);
  if (updates == NULL) return false;
  for (int64_t i = 0; i < adamw->count; i++) {
    GptAdamParameter *p = &adamw->parameters[i];
    if (p->tensor->grad == NULL) continue;
    Update *u = &updates[count++];
    int64_t own = prepare_update(adamw, p, u);
    u->first = items;
    items += own;
    p->steps++;
    gpt_tensor_written(p->tensor);
  }
  gpt_parallel_for(items, gpt_grain(CHUNK), update_items, &(Step){updates, count});
  gpt_free(adamw->env, updates);
  return true;
}

bool gpt_adamw_zero_grad(GptAdamW *adamw) {
  for (int64_t i = 0; i < adamw->count; i++)
    if (!gpt_tensor_set_grad(adamw->parameters[i].tensor, NULL)) return false;
  return true;
}

GptAdamParameter *gpt_adamw_find(const GptAdamW *adamw, const char *name) {
  for (int64_t i = 0; i < adamw->count; i++)
    if (strcmp(adamw->parameters[i].name, name) == 0) return &adamw->parameters[i];
  return NULL;
}

static bool check_moment(GptEnv *env, const GptAdamParameter *p, const char *which, const GptTensor *moment) {
  char own[GPT_SHAPE_TEXT], came[GPT_SHAPE_TEXT];
  if (moment->storage->dtype == GPT_F32 && gpt_same_shape(moment, p->tensor)) return true;
  return gpt_fail(env, "%s of parameter '%.200s': f32 of shape %s expected, got %s of shape %s", which, p->name,
                  gpt_tensor_shape_text(p->tensor, own), gpt_dtype_name(moment->storage->dtype),
                  gpt_tensor_shape_text(moment, came));
}

/* Copies of the moments, made before anything changes: 2 for each, NULL where there are none. */
static bool copy_moments(GptEnv *env, int64_t n, const GptAdamMoments *moments, GptTensor **copies) {
  for (int64_t i = 0; i < n; i++) {
    const GptAdamMoments *m = &moments[i];
    if (m->steps == 0) continue;
    if (!check_moment(env, m->parameter, "exp_avg", m->mean)) return false;
    if (!check_moment(env, m->parameter, "exp_avg_sq", m->square)) return false;
    copies[2 * i] = gpt_tensor_copy(env, m->mean);
    copies[2 * i + 1] = gpt_tensor_copy(env, m->square);
    if (copies[2 * i] == NULL || copies[2 * i + 1] == NULL) return false;
  }
  return true;
}

bool gpt_adamw_load(GptAdamW *adamw, int64_t n, const GptAdamMoments *moments) {
  GptTensor **copies = gpt_alloc_array_zeroed(adamw->env, 2 * n, sizeof *copies);
  if (copies == NULL) return false;
  bool done = copy_moments(adamw->env, n, moments, copies);
  for (int64_t i = 0; i < adamw->count && done; i++) drop_moments(&adamw->parameters[i]);
  for (int64_t i = 0; i < n; i++) {
    GptAdamParameter *p = moments[i].parameter;
    if (done) p->mean = copies[2 * i], p->square = copies[2 * i + 1], p->steps = moments[i].steps;
    else gpt_tensor_release(copies[2 * i]), gpt_tensor_release(copies[2 * i + 1]);
  }
  gpt_free(adamw->env, copies);
  return done;
}
