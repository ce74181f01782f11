/*
 * Products of many rows in bf16 with sums in f32, on processors that multiply pairs of them: what is f32, f16 or bf16 is
 * rounded to bf16 while it is packed. A panel is two vectors of columns, pair after pair of their numbers along k; up to
 * TALL rows of the input stand together in the same way. The order of an element's sum depends on k alone.
 */
#include "core/kernels/halves.h"
#include "core/kernels/table.h"
#include "core/kernels/transpose.h"

#if defined(__AVX512BF16__)

#define TALL 12 /* rows by two vectors: 24 sums, 2 vectors of the panel and some more fit in 32 registers */
#define PANEL (2 * WIDTH)

typedef uint16_t Shorts __attribute__((vector_size(WIDTH * 4)));

INLINE __m512i to_bf16(Vec low, Vec high) { return (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low); }

/* 2 * WIDTH numbers that stand side by side, from two places for WIDTH each */
INLINE __m512i load_bf16(const void *low, const void *high, const GptDtype dtype) {
  if (dtype == GPT_F32) return to_bf16(load(low), load(high));
  if (dtype == GPT_F16) return to_bf16(from_f16(load_halves(low)), from_f16(load_halves(high)));
  return _mm512_inserti64x4(_mm512_castsi256_si512((__m256i)load_halves(low)), (__m256i)load_halves(high), 1);
}

/* How many rows a group of m stands for: there is code for some sizes only. What is in the rows beyond is not used. */
static int64_t group_size(int64_t m) { return m <= 2 ? 2 : m <= 4 ? 4 : m <= 8 ? 8 : TALL; }

INLINE int64_t size_of(const GptDtype dtype) { return dtype == GPT_F32 ? 4 : 2; }

/* The pairs of up to 2 * WIDTH numbers that stand side by side; zeros follow. */
INLINE Ints pairs_along(const char *p, int64_t count, const GptDtype dtype) {
  char part[8 * WIDTH];
  if (count < 2 * WIDTH) {
    memset(part, 0, sizeof part);
    p = memcpy(part, p, (size_t)(count * size_of(dtype)));
  }
  return (Ints)load_bf16(p, p + WIDTH * size_of(dtype), dtype);
}

/* The pairs of up to WIDTH numbers of one line with those of the next, or with zeros. */
INLINE Ints pairs_across(const char *p, const char *next, int64_t count, const GptDtype dtype) {
  const Shorts turns = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  char part[2][4 * WIDTH];
  if (count < WIDTH || next == NULL) {
    memset(part, 0, sizeof part);
    p = memcpy(part[0], p, (size_t)(count * size_of(dtype)));
    next = next != NULL ? memcpy(part[1], next, (size_t)(count * size_of(dtype))) : part[1];
  }
  return (Ints)_mm512_permutexvar_epi16((__m512i)turns, load_bf16(p, next, dtype));
}

/* Pair p of `lines` lines (at most WIDTH) goes to `to + p * step`, a vector of which the first `lines` lanes count. Each
   store may write over what follows. */
INLINE void pack_along(char *to, int64_t step, const GptLines *from, int64_t lines, int64_t k, const GptDtype dtype) {
  for (int64_t p = 0; p < k; p += 2 * WIDTH) {
    const int64_t count = k - p < 2 * WIDTH ? k - p : 2 * WIDTH;
    Ints square[WIDTH];
    UNROLL for (int i = 0; i < WIDTH; i++) {
      const char *line = (const char *)from->data + i * from->bytes + p * size_of(dtype);
      square[i] = i < lines ? pairs_along(line, count, dtype) : (Ints){0};
    }
    transpose(square);
    for (int64_t i = 0; 2 * i < count; i++) memcpy(to + (p / 2 + i) * step, &square[i], sizeof square[i]);
  }
}

INLINE void pack_across(char *to, int64_t step, const GptLines *from, int64_t lines, int64_t k, const GptDtype dtype) {
  const char *line = from->data;
  for (int64_t p = 0; p < k; p += 2, line += 2 * from->bytes, to += step) {
    Ints pairs = pairs_across(line, p + 1 < k ? line + from->bytes : NULL, lines, dtype);
    memcpy(to, &pairs, sizeof pairs);
  }
}

INLINE void pack_lines(char *to, int64_t step, const GptLines *from, int64_t lines, int64_t k, const GptDtype dtype) {
  if (from->across) pack_across(to, step, from, lines, k, dtype);
  else pack_along(to, step, from, lines, k, dtype);
}

/* The second vector of columns first: a store of the first may not write over it. */
INLINE void pack(void *panel, const GptLines *from, int64_t lines, int64_t k, const GptDtype dtype) {
  const int64_t vector = (int64_t)sizeof(Vec), rest = lines - WIDTH;
  GptLines second = *from;
  second.data = (const char *)from->data + WIDTH * (from->across ? size_of(dtype) : from->bytes);
  if (rest > 0) pack_lines((char *)panel + vector, 2 * vector, &second, rest, k, dtype);
  pack_lines(panel, 2 * vector, from, rest > 0 ? WIDTH : lines, k, dtype);
}

/* What stands in lanes beyond the last line is never used. */
INLINE void multiply(const GptPanelProduct *o, const int M) {
  const int64_t n = o->n, m = o->m;
  const char *panel = o->panel, *x = (const char *)o->x + o->first / 2 * 4 * M;
  Vec sums[TALL][2];
  UNROLL for (int t = 0; t < M; t++)
    UNROLL for (int v = 0; v < 2; v++) {
      const int64_t count = n - v * WIDTH;
      const float *from = o->add ? o->y + t * o->ldy : o->bias;
      sums[t][v] = from == NULL || count <= 0 || t >= m ? (Vec){0}
                   : count >= WIDTH                     ? load(from + v * WIDTH)
                                                        : load_part(from + v * WIDTH, count, (Vec){0});
    }
  for (int64_t p = 0; p < o->k; p += 2, panel += sizeof(Vec[2]), x += 4 * M) {
    const __m512bh w[2] = {(__m512bh)load((const float *)panel), (__m512bh)load((const float *)panel + WIDTH)};
    UNROLL for (int t = 0; t < M; t++) {
      int32_t pair;
      memcpy(&pair, x + 4 * t, sizeof pair);
      UNROLL for (int v = 0; v < 2; v++)
        sums[t][v] = (Vec)_mm512_dpbf16_ps((__m512)sums[t][v], w[v], (__m512bh)_mm512_set1_epi32(pair));
    }
  }
  UNROLL for (int t = 0; t < M; t++)
    UNROLL for (int v = 0; v < 2; v++) {
      const int64_t count = t < m ? n - v * WIDTH : 0;
      float *to = o->y + t * o->ldy + v * WIDTH;
      if (count >= WIDTH) store(to, sums[t][v]);
      else if (count > 0) store_part(to, count, sums[t][v]);
    }
}

static void multiply_pairs(const GptPanelProduct *o) {
  switch (group_size(o->m)) {
    case 2: multiply(o, 2); break;
    case 4: multiply(o, 4); break;
    case 8: multiply(o, 8); break;
    default: multiply(o, TALL); break;
  }
}

static int64_t panel_bytes(int64_t k) { return (k + 1) / 2 * (int64_t)sizeof(Vec[2]); }
static int64_t group_bytes(int64_t m, int64_t k) {
  return ((k + 1) / 2 * 4 * group_size(m) + 2 * (int64_t)sizeof(Vec) - 1) / 64 * 64;
}

static void pack_input(void *group, const GptLines *x, int64_t m, int64_t k) {
  pack_lines(group, 4 * group_size(m), x, m, k, GPT_F32);
}

static void pack_f32(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_F32); }
static void pack_f16(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_F16); }
static void pack_bf16(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_BF16); }

#define PANELS(pack) {PANEL, TALL, DEPTH, panel_bytes, pack, group_bytes, pack_input, multiply_pairs}
#define DEPTH 4096 /* even; a panel of that depth stays in the second cache */

const GptWeightPanels gpt_kernel(panels_f32) = PANELS(pack_f32), gpt_kernel(panels_f16) = PANELS(pack_f16),
                      gpt_kernel(panels_bf16) = PANELS(pack_bf16);

#endif
