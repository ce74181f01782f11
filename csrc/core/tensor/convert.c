/* Tensors from one dtype to another, and the one place where readers of floats are checked; tensor.h says what each
 * does.
 */
#include "core/base/parallel.h"
#include "core/tensor/tensor.h"

#define LARGEST_BLOCK 256
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
  GptTensor *contiguous = y != NULL ? gpt_tensor_as_contiguous(env, (GptTensor *)tensor) : NULL;
  if (contiguous != NULL) {
    Conversion c = {gpt_tensor_data(y), gpt_tensor_data(contiguous), dtype, tensor->storage->dtype,
                    gpt_tensor_numel(y)};
    gpt_parallel_for((c.n + PIECE - 1) / PIECE, gpt_grain(PIECE), convert_pieces, &c);
  }
  y = gpt_tensor_if(contiguous != NULL, y);
  gpt_tensor_release(contiguous);
  return y;
}
