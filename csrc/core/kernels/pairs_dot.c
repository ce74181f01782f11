/*
 * Products of some rows with weights of 16 bits stored [out, in], on processors that multiply pairs of bf16: the input
 * is rounded to bf16, f16 weights are on the way. Fewer rows take no time worth it and stay f32 (halves_dot.c). The
 * order of an element's sum depends on k alone.
 */
#include "core/kernels/pairs.h"
#include "core/kernels/table.h"

#if defined(HAS_PAIRS)

#define MOST 8  /* rows of the input at once, */
#define ROWS 2  /* by so many of the weight, far apart */
#define MANY 16 /* rows up to which this is faster than panels, as measured */
#define STEP (2 * WIDTH)

INLINE Ints round_pairs(const float *p) { return to_bf16(load(p), load(p + WIDTH)); }

INLINE Ints load_pairs(const char *p, const bool f16) {
  Ints pairs;
  if (f16) return to_bf16(from_f16(load_halves(p)), from_f16(load_halves(p + 2 * WIDTH)));
  memcpy(&pairs, p, sizeof pairs);
  return pairs;
}

INLINE void store_pairs(char *to, Ints pairs) { memcpy(to, &pairs, sizeof pairs); }

static int64_t input_bytes(int64_t k) { return (k + STEP - 1) / STEP * STEP * 2; }

/* A row in bf16, zeros up to a whole step */
static void prepare_pairs(void *to, const float *x, int64_t k) {
  float rest[STEP] = {0};
  int64_t p = 0;
  for (; p + STEP <= k; p += STEP) store_pairs((char *)to + 2 * p, round_pairs(x + p));
  if (p == k) return;
  memcpy(rest, x + p, (size_t)(k - p) * sizeof *rest);
  store_pairs((char *)to + 2 * p, round_pairs(rest));
}

INLINE void add_pairs(const bool f16, Vec sums[MOST][ROWS], const GptFewRows *o, const char *x,
                      const char *const w[ROWS], const int M) {
  Ints pairs[ROWS];
  UNROLL for (int r = 0; r < ROWS; r++) pairs[r] = load_pairs(w[r], f16);
  UNROLL for (int i = 0; i < M; i++) {
    const Ints row = load_pairs(x + i * o->x_bytes, false);
    UNROLL for (int r = 0; r < ROWS; r++) sums[i][r] = dot_pairs(sums[i][r], pairs[r], row);
  }
}

/* M rows of the input from row i by rows j and j + apart of the weight */
INLINE void dot_rows(const bool f16, const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {
  const char *x = (const char *)o->x + i * o->x_bytes, *from = (const char *)o->w + j * o->w_bytes;
  Vec sums[MOST][ROWS] = {{{0}}};
  int64_t p = 0;
  for (; p + STEP <= o->k; p += STEP)
    add_pairs(f16, sums, o, x + 2 * p, (const char *[ROWS]){from + 2 * p, from + apart * o->w_bytes + 2 * p}, M);
  if (p < o->k) {
    char rest[ROWS][2 * STEP] = {{0}};
    for (int r = 0; r < ROWS; r++) memcpy(rest[r], from + r * apart * o->w_bytes + 2 * p, (size_t)(o->k - p) * 2);
    add_pairs(f16, sums, o, x + 2 * p, (const char *[ROWS]){rest[0], rest[1]}, M);
  }
  UNROLL for (int m = 0; m < M; m++)
    UNROLL for (int r = 0; r < ROWS; r++) {
      int64_t column = j + r * apart;
      o->y[(i + m) * o->ldy + column] = sum_lanes(sums[m][r]) + (o->bias != NULL ? o->bias[column] : 0.0f);
    }
}

INLINE void dot_inputs(const bool f16, const GptFewRows *o, int64_t j, int64_t apart) {
  int64_t i = 0;
  for (; i + MOST <= o->m; i += MOST) dot_rows(f16, o, i, j, apart, MOST);
  if (i + 4 <= o->m) dot_rows(f16, o, i, j, apart, 4), i += 4;
  if (i + 2 <= o->m) dot_rows(f16, o, i, j, apart, 2), i += 2;
  if (i < o->m) dot_rows(f16, o, i, j, apart, 1);
}

/* Of an odd number of rows the middle one is computed twice. */
INLINE void multiply(const bool f16, const GptFewRows *o, int64_t first, int64_t last) {
  const int64_t half = (last - first) / 2;
  for (int64_t j = first; j < last - half; j++) dot_inputs(f16, o, j, half);
}

static void multiply_pairs_f16(const GptFewRows *o, int64_t first, int64_t last) { multiply(true, o, first, last); }
static void multiply_pairs_bf16(const GptFewRows *o, int64_t first, int64_t last) { multiply(false, o, first, last); }

const GptFewRowsKernels gpt_kernel(some_f16) = {MANY, 0, input_bytes, prepare_pairs, multiply_pairs_f16, NULL},
                        gpt_kernel(some_bf16) = {MANY, 0, input_bytes, prepare_pairs, multiply_pairs_bf16, NULL};

#endif
