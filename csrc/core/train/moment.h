/*
 * Moments: what an optimizer remembers of a parameter's gradients, one number for each of the parameter's, in its
 * order. They are kept in f32, in bf16, or in 8 bits with a scale for every 64 (kernels/moments.c), and are read into
 * floats and written back a piece at a time.
 */
#ifndef GPT_MOMENT_H
#define GPT_MOMENT_H

#include "core/kernels/kernels.h"
#include "core/tensor/tensor.h"
#include "core/train/share.h"

typedef enum GptMomentDtype { GPT_MOMENT_F32, GPT_MOMENT_BF16, GPT_MOMENT_Q8, GPT_MOMENT_DTYPES } GptMomentDtype;

/* A parameter's numbers; both NULL before they are made. */
typedef struct GptMoment {
  GptTensor *numbers; /* f32 or bf16 of the parameter's shape, contiguous; q8: codes, i64 [blocks, 8] */
  GptTensor *scales;  /* q8: f32 [blocks]; otherwise NULL */
} GptMoment;

/* "f32", and back: false where there is no such dtype of moments. */
const char *gpt_moment_dtype_name(GptMomentDtype dtype);
bool gpt_moment_dtype_find(const char *name, GptMomentDtype *dtype);

/* Zeros for a parameter, unless they are there. */
bool gpt_moment_make(GptEnv *env, GptMoment *moment, GptMomentDtype dtype, const GptTensor *parameter);
void gpt_moment_drop(GptMoment *moment);

/* Is it a moment of that dtype for that parameter? False and a message that begins with what it is called. */
bool gpt_moment_check(GptEnv *env, const GptMoment *moment, GptMomentDtype dtype, const GptTensor *parameter,
                      const char *what, const char *name);

/* A copy in `to`, which may be another dtype than its own `from`; the moment is one of gpt_moment_check. */
bool gpt_moment_copy(GptEnv *env, const GptMoment *moment, GptMomentDtype from, bool positive, GptMoment *copy,
                     GptMomentDtype to, const GptTensor *parameter);

/* Views of a moment's rows, those of that share of the parameter; moment is one of gpt_moment_check. */
bool gpt_moment_rows(GptEnv *env, const GptMoment *moment, GptMomentDtype dtype, const GptTensor *parameter,
                     GptShare share, GptMoment *rows);

/* A moment while it is stepped. */
typedef struct GptMomentView {
  GptMomentDtype dtype;
  bool positive;
  void *numbers;  /* floats, halves or codes */
  float *scales;  /* q8 */
  uint64_t seed;  /* of what rounding draws: another one for every step */
  int64_t first;  /* the parameter's number with which the moment begins: rounding draws by place in the whole */
} GptMomentView;

GptMomentView gpt_moment_view(const GptMoment *moment, GptMomentDtype dtype, bool positive, uint64_t seed);

/*
 * Numbers at .. at + n - 1 as floats: in place where they are f32, otherwise read into buffer. For q8, `at` is a
 * multiple of GPT_MOMENT_BLOCK and the buffer has room for whole blocks; those begun are read and written whole.
 */
float *gpt_moment_read(const GptMomentView *view, float *buffer, int64_t at, int64_t n);
void gpt_moment_write(const GptMomentView *view, const float *buffer, int64_t at, int64_t n);

#endif
