/* Tensors from one dtype to another, and the one place where readers of floats are checked; tensor.h says what each
 * does.
 */
#include "core/base/parallel.h"
#include "core/base/scratch.h"
#include "core/tensor/tensor.h"

#define LARGEST_BLOCK 256
#define STRIP 32 /* rows of a matrix that is not contiguous, read at a time, */
#define TILE 16  /* so many columns after each other */
#define PIECE 8192 /* numbers that are converted at a time: whole blocks of every dtype */

bool gpt_tensor_check_floats(GptEnv *env, const char *what, const GptTensor *tensor) {
  GptDtype dtype = tensor->storage->dtype;
  return dtype == GPT_F32 || gpt_fail(env, "%s: an f32 tensor expected, got %s; t:float() converts it", what,
                                      gpt_dtype_name(dtype));
}

bool gpt_tensor_check_plain(GptEnv *env, const char *what, const GptTensor *tensor) {
  GptDtype dtype = tensor->storage->dtype;
  return dtype == GPT_F32 || dtype == GPT_I64 ||
         gpt_fail(env, "%s: an f32 or i64 tensor expected, got %s; t:float() converts it", what, gpt_dtype_name(dtype));
}

GptTensor *gpt_tensor_as_floats(GptEnv *env, const char *what, GptTensor *tensor) {
  if (tensor == NULL || tensor->storage->dtype == GPT_F32) return gpt_tensor_retain(tensor);
  return gpt_tensor_check_plain(env, what, tensor) ? gpt_tensor_convert(env, tensor, GPT_F32) : NULL;
}

GptTensor *gpt_tensor_contiguous_floats(GptEnv *env, const char *what, GptTensor *tensor) {
  GptTensor *floats = gpt_tensor_as_floats(env, what, tensor);
  return gpt_tensor_then(floats, gpt_tensor_as_contiguous(env, floats));
}

float gpt_tensor_float_at(const GptTensor *tensor, int64_t at) {
  const GptDtypeRow *row = gpt_dtype(tensor->storage->dtype);
  float block[LARGEST_BLOCK];
  int64_t place = (tensor->offset + at) % row->block;
  size_t position = gpt_dtype_bytes(tensor->storage->dtype, tensor->offset + at - place);
  row->to_floats(block, (const char *)tensor->storage->data + position, row->block);
  return block[place];
}

/* A conversion between contiguous tensors, piece by piece; one of the two dtypes may be f32. */
typedef struct Conversion {
  char *to;
  const char *from;
  GptDtype to_dtype, from_dtype;
  int64_t n;
} Conversion;

static void convert_piece(const Conversion *c, int64_t first, int64_t n) {
  float floats[PIECE];
  char *to = c->to + gpt_dtype_bytes(c->to_dtype, first);
  const char *from = c->from + gpt_dtype_bytes(c->from_dtype, first);
  if (c->to_dtype == GPT_F32) {
    gpt_dtype(c->from_dtype)->to_floats((float *)to, from, n);
  } else if (c->from_dtype == GPT_F32) {
    gpt_dtype(c->to_dtype)->from_floats(to, (const float *)from, n);
  } else {
    gpt_dtype(c->from_dtype)->to_floats(floats, from, n);
    gpt_dtype(c->to_dtype)->from_floats(to, floats, n);
  }
}

static void convert_pieces(void *context, int64_t first, int64_t last) {
  const Conversion *c = context;
  for (int64_t piece = first; piece < last; piece++) {
    int64_t at = piece * PIECE, left = c->n - at;
    convert_piece(c, at, left < PIECE ? left : PIECE);
  }
}

static void convert_contiguous(GptTensor *y, const GptTensor *x) {
  Conversion c = {gpt_tensor_data(y), gpt_tensor_data(x), y->storage->dtype, x->storage->dtype, gpt_tensor_numel(y)};
  gpt_parallel_for((c.n + PIECE - 1) / PIECE, gpt_grain(PIECE), convert_pieces, &c);
}

/* The conversion of a matrix with any strides, strip by strip. */
typedef struct Turning {
  GptTensor *y;
  const GptTensor *x; /* [rows, columns] */
  GptScratch scratch; /* [STRIP, columns] */
} Turning;

static const void *element_at(const GptTensor *x, int64_t row, int64_t column) {
  return (const char *)gpt_tensor_data(x) +
         gpt_dtype_bytes(x->storage->dtype, row * x->stride[0] + column * x->stride[1]);
}

/* Columns [first, first + count) of a strip whose columns lie side by side, or of which nothing does. */
static void read_tile(const GptTensor *x, float *strip, int64_t row, int64_t rows, int64_t first, int64_t count) {
  float tile[TILE][STRIP];
  void (*to_floats)(float *, const void *, int64_t) = gpt_dtype(x->storage->dtype)->to_floats;
  for (int64_t j = 0; j < count; j++) {
    if (x->stride[0] == 1) to_floats(tile[j], element_at(x, row, first + j), rows);
    else
      for (int64_t i = 0; i < rows; i++) to_floats(&tile[j][i], element_at(x, row + i, first + j), 1);
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < count; j++) strip[i * x->shape[1] + first + j] = tile[j][i];
}

static void read_strip(const GptTensor *x, float *strip, int64_t row, int64_t rows) {
  int64_t columns = x->shape[1];
  if (x->stride[1] == 1)
    for (int64_t i = 0; i < rows; i++)
      gpt_dtype(x->storage->dtype)->to_floats(strip + i * columns, element_at(x, row + i, 0), columns);
  else
    for (int64_t j = 0; j < columns; j += TILE)
      read_tile(x, strip, row, rows, j, columns - j < TILE ? columns - j : TILE);
}

static void convert_strips(void *context, int64_t first, int64_t last) {
  Turning *turning = context;
  int64_t rows = turning->x->shape[0], columns = turning->x->shape[1];
  GptDtype dtype = turning->y->storage->dtype;
  float *strip = gpt_scratch_take(&turning->scratch);
  for (int64_t row = first * STRIP; row < last * STRIP && row < rows; row += STRIP) {
    int64_t count = rows - row < STRIP ? rows - row : STRIP;
    read_strip(turning->x, strip, row, count);
    gpt_dtype(dtype)->from_floats((char *)gpt_tensor_data(turning->y) + gpt_dtype_bytes(dtype, row * columns), strip,
                                  count * columns);
  }
  gpt_scratch_put(&turning->scratch, strip);
}

static bool convert_matrix(GptEnv *env, GptTensor *y, const GptTensor *x) {
  Turning turning = {.y = y, .x = x};
  int64_t strips = (x->shape[0] + STRIP - 1) / STRIP;
  if (!gpt_scratch_init(&turning.scratch, env, STRIP * x->shape[1], strips)) return false;
  gpt_parallel_for(strips, gpt_grain(STRIP * x->shape[1]), convert_strips, &turning);
  gpt_scratch_free(&turning.scratch, env);
  return true;
}

static bool convert_elements(GptEnv *env, GptTensor *y, const GptTensor *x) {
  bool contiguous = gpt_tensor_contiguous(x);
  if (!contiguous && x->ndim == 2) return convert_matrix(env, y, x);
  GptTensor *copy = contiguous ? NULL : gpt_tensor_copy(env, x);
  if (contiguous || copy != NULL) convert_contiguous(y, contiguous ? x : copy);
  gpt_tensor_release(copy);
  return contiguous || copy != NULL;
}

static bool check_writable_dtype(GptEnv *env, GptDtype dtype) {
  return gpt_dtype(dtype)->from_floats != NULL ||
         gpt_fail(env,
                  "%s is read only: nothing can be converted to it; q4_0, q4_1, q5_0, q5_1, q8_0, f16 and bf16 can be "
                  "written",
                  gpt_dtype_name(dtype));
}

GptTensor *gpt_tensor_convert(GptEnv *env, const GptTensor *tensor, GptDtype dtype) {
  if (tensor == NULL || tensor->storage->dtype == dtype) return gpt_tensor_copy(env, tensor);
  if (!check_writable_dtype(env, dtype)) return NULL;
  GptTensor *y = gpt_tensor_new(env, dtype, tensor->ndim, tensor->shape);
  return gpt_tensor_if(y != NULL && convert_elements(env, y, tensor), y);
}
