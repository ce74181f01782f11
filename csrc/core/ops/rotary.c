#include "core/ops/rotary.h"

#include <math.h>
#include <string.h>

#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "core/tensor/graph.h"

#define CHUNK 32 /* positions of a table whose angles follow from the first one's */

/* The cosines and sines of positions. */
typedef struct Angles {
  float *table; /* [count, 2, pairs] */
  const int64_t *positions;
  int64_t count;
  const GptRotary *rotary;
} Angles;

/* A pair's column of a chunk: exact where positions do not follow each other, turned on by one step where they do. */
static void fill_column(const Angles *a, int64_t first, int64_t last, int64_t pair) {
  double step = a->rotary->frequencies[pair], turn_c = cos(step), turn_s = sin(step), c = 0, s = 0;
  int64_t pairs = a->rotary->dims / 2;
  for (int64_t i = first; i < last; i++) {
    bool follows = i > first && a->positions[i] == a->positions[i - 1] + 1;
    double angle = (double)a->positions[i] * step, before = c;
    c = follows ? c * turn_c - s * turn_s : cos(angle);
    s = follows ? s * turn_c + before * turn_s : sin(angle);
    a->table[2 * i * pairs + pair] = (float)(c * a->rotary->magnitude);
    a->table[(2 * i + 1) * pairs + pair] = (float)(s * a->rotary->magnitude);
  }
}

static void fill_chunks(void *context, int64_t first, int64_t last) {
  const Angles *a = context;
  for (int64_t chunk = first; chunk < last; chunk++) {
    int64_t begin = chunk * CHUNK, end = begin + CHUNK < a->count ? begin + CHUNK : a->count;
    for (int64_t pair = 0; pair < a->rotary->dims / 2; pair++) fill_column(a, begin, end, pair);
  }
}

/* [count, dims]: the cosines of each position, then its sines */
static GptTensor *angle_table(GptEnv *env, GptTensor *positions, const GptRotary *rotary) {
  int64_t count = gpt_tensor_numel(positions);
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, positions);
  GptTensor *table = contiguous != NULL ? gpt_tensor_new(env, GPT_F32, 2, (int64_t[]){count, rotary->dims}) : NULL;
  if (table != NULL) {
    Angles angles = {gpt_floats(table), gpt_integers(contiguous), count, rotary};
    gpt_parallel_for((count + CHUNK - 1) / CHUNK, gpt_grain(CHUNK * 16 * rotary->dims), fill_chunks, &angles);
  }
  return gpt_tensor_then(contiguous, table);
}

/* Rows of heads, each turned by its row of the table; rows repeat the table's. */
typedef struct Turning {
  float *y;                                            /* [rows, all_heads, head_dim] */
  const float *x, *table;                              /* the same; [count, dims] */
  int64_t count, all_heads, head_dim, dims, heads;
  bool interleaved;
  float way;
} Turning;

static void turn_rows(void *context, int64_t first, int64_t last) {
  const Turning *t = context;
  for (int64_t row = first; row < last; row++) {
    const float *c = t->table + row % t->count * t->dims, *s = c + t->dims / 2;
    for (int64_t head = 0; head < t->all_heads; head++) {
      int64_t at = (row * t->all_heads + head) * t->head_dim, turned = head < t->heads ? t->dims : 0;
      if (turned > 0 && t->interleaved) gpt_kernels()->rotate_neighbours(t->y + at, t->x + at, c, s, t->way, turned / 2);
      else if (turned > 0) gpt_kernels()->rotate(t->y + at, t->x + at, c, s, t->way, turned / 2);
      memcpy(t->y + at + turned, t->x + at + turned, (size_t)(t->head_dim - turned) * sizeof(float));
    }
  }
}

static GptTensor *turned(GptEnv *env, GptTensor *x, const GptTensor *table, int64_t heads, bool interleaved, float way) {
  GptTensor *contiguous = gpt_tensor_contiguous_floats(env, "rotary", x), *y = gpt_tensor_like(env, contiguous);
  if (y != NULL && gpt_tensor_numel(y) > 0) {
    int64_t all_heads = x->shape[x->ndim - 2], head_dim = x->shape[x->ndim - 1], width = all_heads * head_dim;
    Turning t = {gpt_floats(y), gpt_floats(contiguous), gpt_floats(table), table->shape[0], all_heads,
                 head_dim,      table->shape[1],        heads,             interleaved,     way};
    gpt_parallel_for(gpt_tensor_numel(y) / width, gpt_grain(2 * width), turn_rows, &t);
  }
  return gpt_tensor_then(contiguous, y);
}

/* saves: table; integers: heads, interleaved */
static bool rotary_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0,
                       turned(env, grad, gpt_node_saved(node, 0), node->integers[0], node->integers[1] != 0, -1));
}

static const GptOp rotary_op = {"rotary", rotary_backward};

/* [tokens], or x's shape without the last two dimensions */
static bool fits_positions(const GptTensor *x, const GptTensor *positions) {
  if (positions->ndim == 1) return positions->shape[0] == x->shape[x->ndim - 3];
  return positions->ndim == x->ndim - 2 &&
         memcmp(positions->shape, x->shape, (size_t)positions->ndim * sizeof *x->shape) == 0;
}

static bool check_rotary(GptEnv *env, const GptTensor *x, const GptTensor *positions, const GptRotary *rotary) {
  char own[GPT_SHAPE_TEXT], other[GPT_SHAPE_TEXT];
  if (x->ndim < 3)
    return gpt_fail(env, "rotary: an input of shape [..., tokens, n_heads, head_dim] expected, got %s",
                    gpt_tensor_shape_text(x, own));
  if (rotary->dims > x->shape[x->ndim - 1])
    return gpt_fail(env, "rotary: dims must be at most head_dim (%lld), got %lld", (long long)x->shape[x->ndim - 1],
                    (long long)rotary->dims);
  if (positions->storage->dtype != GPT_I64)
    return gpt_fail(env, "rotary: positions must be integers (i64), got a tensor of %s",
                    gpt_dtype_name(positions->storage->dtype));
  if (fits_positions(x, positions)) return true;
  return gpt_fail(env, "rotary: positions of shape [tokens] or of the input's without its last two dimensions expected, "
                  "got %s for an input of %s", gpt_tensor_shape_text(positions, other), gpt_tensor_shape_text(x, own));
}

GptTensor *gpt_rotate(GptEnv *env, GptTensor *x, GptTensor *positions, const GptRotary *rotary, int64_t heads) {
  if (x == NULL || positions == NULL || !check_rotary(env, x, positions, rotary)) return NULL;
  GptTensor *table = angle_table(env, positions, rotary);
  GptTensor *y = table != NULL ? turned(env, x, table, heads, rotary->interleaved, 1) : NULL;
  y = gpt_graph_add(env, y, (GptOpCall){.op = &rotary_op, GPT_INPUTS(x), GPT_SAVES(table),
                                        .integers = {heads, rotary->interleaved}});
  return gpt_tensor_then(table, y);
}
