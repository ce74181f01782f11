#include "core/train/moment.h"

#include <string.h>

#define BLOCK GPT_MOMENT_BLOCK
#define WORDS (BLOCK / 8) /* a block's codes, as i64 */
#define PIECE 1024        /* numbers that are converted at once */

static const char *const names[GPT_MOMENT_DTYPES] = {
    [GPT_MOMENT_F32] = "f32", [GPT_MOMENT_BF16] = "bf16", [GPT_MOMENT_Q8] = "q8"};

const char *gpt_moment_dtype_name(GptMomentDtype dtype) { return names[dtype]; }

bool gpt_moment_dtype_find(const char *name, GptMomentDtype *dtype) {
  for (*dtype = GPT_MOMENT_F32; *dtype < GPT_MOMENT_DTYPES; ++*dtype)
    if (strcmp(name, names[*dtype]) == 0) return true;
  return false;
}

static int64_t blocks_of(int64_t n) { return (n + BLOCK - 1) / BLOCK; }

/* What numbers and scales are for a parameter: dtypes and shapes. */
typedef struct Layout {
  GptDtype dtype;
  int ndim;
  const int64_t *shape;
  int64_t codes[2]; /* the shape of q8's */
} Layout;

static void lay_out(Layout *layout, GptMomentDtype dtype, const GptTensor *parameter) {
  *layout = (Layout){.dtype = dtype == GPT_MOMENT_F32 ? GPT_F32 : GPT_BF16,
                     .ndim = parameter->ndim,
                     .shape = parameter->shape,
                     .codes = {blocks_of(gpt_tensor_numel(parameter)), WORDS}};
  if (dtype == GPT_MOMENT_Q8) layout->dtype = GPT_I64, layout->ndim = 2, layout->shape = layout->codes;
}

bool gpt_moment_make(GptEnv *env, GptMoment *moment, GptMomentDtype dtype, const GptTensor *parameter) {
  Layout layout;
  lay_out(&layout, dtype, parameter);
  if (moment->numbers == NULL) moment->numbers = gpt_tensor_zeros(env, layout.dtype, layout.ndim, layout.shape);
  if (moment->numbers == NULL || dtype != GPT_MOMENT_Q8) return moment->numbers != NULL;
  if (moment->scales == NULL) moment->scales = gpt_tensor_zeros(env, GPT_F32, 1, layout.codes);
  return moment->scales != NULL;
}

void gpt_moment_drop(GptMoment *moment) {
  gpt_tensor_release(moment->numbers);
  gpt_tensor_release(moment->scales);
  *moment = (GptMoment){NULL, NULL};
}

/* `more` follows what the moment is called. */
static bool check_tensor(GptEnv *env, const GptTensor *tensor, GptDtype dtype, int ndim, const int64_t *shape,
                         const char *what, const char *more, const char *name) {
  char expected[GPT_SHAPE_TEXT], came[GPT_SHAPE_TEXT];
  bool fits = tensor->storage->dtype == dtype && tensor->ndim == ndim;
  if (fits && memcmp(tensor->shape, shape, (size_t)ndim * sizeof *shape) == 0) return true;
  return gpt_fail(env, "%s%s of parameter '%.200s': %s of shape %s expected, got %s of shape %s", what, more, name,
                  gpt_dtype_name(dtype), gpt_shape_text(ndim, shape, expected), gpt_dtype_name(tensor->storage->dtype),
                  gpt_tensor_shape_text(tensor, came));
}

bool gpt_moment_check(GptEnv *env, const GptMoment *moment, GptMomentDtype dtype, const GptTensor *parameter,
                      const char *what, const char *name) {
  Layout layout;
  lay_out(&layout, dtype, parameter);
  if (!check_tensor(env, moment->numbers, layout.dtype, layout.ndim, layout.shape, what, "", name)) return false;
  return dtype != GPT_MOMENT_Q8 || check_tensor(env, moment->scales, GPT_F32, 1, layout.codes, what, "_scale", name);
}

bool gpt_moment_rows(GptEnv *env, const GptMoment *moment, GptMomentDtype dtype, const GptTensor *parameter,
                     GptShare share, GptMoment *rows) {
  int64_t row = gpt_share_row(parameter);
  if (dtype == GPT_MOMENT_Q8) share = (GptShare){share.first * row / BLOCK, blocks_of(share.rows * row)};
  rows->numbers = gpt_share_view(env, moment->numbers, share);
  rows->scales = moment->scales != NULL ? gpt_share_view(env, moment->scales, share) : NULL;
  return rows->numbers != NULL && (moment->scales == NULL || rows->scales != NULL);
}

GptMomentView gpt_moment_view(const GptMoment *moment, GptMomentDtype dtype, bool positive, uint64_t seed) {
  return (GptMomentView){.dtype = dtype,
                         .positive = positive,
                         .numbers = gpt_tensor_data(moment->numbers),
                         .scales = moment->scales != NULL ? gpt_floats(moment->scales) : NULL,
                         .seed = seed};
}

float *gpt_moment_read(const GptMomentView *view, float *buffer, int64_t at, int64_t n) {
  switch (view->dtype) {
    case GPT_MOMENT_F32: return (float *)view->numbers + at;
    case GPT_MOMENT_BF16: gpt_kernels()->read_bf16(buffer, (uint16_t *)view->numbers + at, n); break;
    default:
      gpt_kernels()->read_q8(buffer, (uint8_t *)view->numbers + at, view->scales + at / BLOCK, view->positive,
                             blocks_of(n));
  }
  return buffer;
}

void gpt_moment_write(const GptMomentView *view, const float *buffer, int64_t at, int64_t n) {
  if (view->dtype == GPT_MOMENT_BF16)
    gpt_kernels()->write_bf16((uint16_t *)view->numbers + at, buffer, view->seed, view->first + at, n);
  if (view->dtype == GPT_MOMENT_Q8)
    gpt_kernels()->write_q8((uint8_t *)view->numbers + at, view->scales + at / BLOCK, buffer, view->positive,
                            view->seed, view->first + at, blocks_of(n));
}

static bool copy_as_it_is(GptEnv *env, const GptMoment *moment, GptMoment *copy) {
  copy->numbers = gpt_tensor_copy(env, moment->numbers);
  copy->scales = moment->scales != NULL ? gpt_tensor_copy(env, moment->scales) : NULL;
  return copy->numbers != NULL && (moment->scales == NULL || copy->scales != NULL);
}

/* Contiguous, so that it can be read. */
static bool convert(GptEnv *env, const GptMoment *moment, GptMomentDtype from, bool positive, GptMoment *copy,
                    GptMomentDtype to, const GptTensor *parameter) {
  float buffer[PIECE];
  int64_t count = gpt_tensor_numel(parameter);
  if (!gpt_moment_make(env, copy, to, parameter)) return false;
  GptMomentView source = gpt_moment_view(moment, from, positive, 0), target = gpt_moment_view(copy, to, positive, 0);
  for (int64_t at = 0; at < count; at += PIECE) {
    int64_t n = count - at < PIECE ? count - at : PIECE;
    const float *numbers = gpt_moment_read(&source, buffer, at, n);
    if (numbers != buffer) memcpy(buffer, numbers, (size_t)n * sizeof *buffer);
    memset(buffer + n, 0, (size_t)(PIECE - n) * sizeof *buffer);
    if (to == GPT_MOMENT_F32) memcpy((float *)target.numbers + at, buffer, (size_t)n * sizeof *buffer);
    else gpt_moment_write(&target, buffer, at, n);
  }
  return true;
}

bool gpt_moment_copy(GptEnv *env, const GptMoment *moment, GptMomentDtype from, bool positive, GptMoment *copy,
                     GptMomentDtype to, const GptTensor *parameter) {
  GptMoment plain = {NULL, NULL};
  if (from == to) return copy_as_it_is(env, moment, copy);
  bool done = copy_as_it_is(env, moment, &plain) && convert(env, &plain, from, positive, copy, to, parameter);
  gpt_moment_drop(&plain);
  return done;
}
