/*
 * Products of many rows in bf16 with sums in f32, on processors that multiply pairs of them: what is f32, f16 or bf16 is
 * rounded to bf16 while it is packed. A panel is two vectors of columns, pair after pair of their numbers along k; up to
 * TALL rows of the input stand together in the same way. The order of an element's sum depends on k alone.
 */
#include "core/kernels/ahead.h"
#include "core/kernels/pairs.h"
#include "core/kernels/table.h"
#include "core/kernels/transpose.h"

#if defined(HAS_PAIRS)

#define TALL 12 /* rows by two vectors: 24 sums, 2 vectors of the panel and some more fit in 32 registers */
#define PANEL (2 * WIDTH)

/* 2 * WIDTH numbers that stand side by side, from two places for WIDTH each */
INLINE Ints load_bf16(const void *low, const void *high, const GptDtype dtype) {
  if (dtype == GPT_F32) return to_bf16(load(low), load(high));
  if (dtype == GPT_F16) return to_bf16(from_f16(load_halves(low)), from_f16(load_halves(high)));
  return join_halves(load_halves(low), load_halves(high));
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
  return load_bf16(p, p + WIDTH * size_of(dtype), dtype);
}

/* The pairs of up to WIDTH numbers of one line with those of the next, or with zeros. */
INLINE Ints pairs_across(const char *p, const char *next, int64_t count, const GptDtype dtype) {
  char part[2][4 * WIDTH];
  if (count < WIDTH || next == NULL) {
    memset(part, 0, sizeof part);
    p = memcpy(part[0], p, (size_t)(count * size_of(dtype)));
    next = next != NULL ? memcpy(part[1], next, (size_t)(count * size_of(dtype))) : part[1];
  }
  return zip_halves(load_bf16(p, next, dtype));
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

/* WIDTH lines at a time, the last ones first: a store of fewer may not write over what is there. */
INLINE void pack_lines(char *to, int64_t step, const GptLines *from, int64_t lines, int64_t k, const GptDtype dtype) {
  const int64_t line_bytes = from->across ? size_of(dtype) : from->bytes;
  for (int64_t first = (lines - 1) / WIDTH * WIDTH; first >= 0; first -= WIDTH) {
    const GptLines strip = {(const char *)from->data + first * line_bytes, from->bytes, from->across};
    const int64_t count = lines - first < WIDTH ? lines - first : WIDTH;
    if (strip.across) pack_across(to + 4 * first, step, &strip, count, k, dtype);
    else pack_along(to + 4 * first, step, &strip, count, k, dtype);
  }
}

INLINE void pack(void *panel, const GptLines *from, int64_t lines, int64_t k, const GptDtype dtype) {
  pack_lines(panel, (int64_t)sizeof(Vec[2]), from, lines, k, dtype);
}

/* What stands in lanes beyond the last line is never used. */
INLINE void multiply(const GptPanelProduct *o, const int M) {
  const int64_t n = o->n, m = o->m;
  const char *panel = o->panel, *x = (const char *)o->x + o->first / 2 * 4 * M;
  Ahead ahead = ahead_of(o);
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
    const Ints w[2] = {(Ints)load((const float *)panel), (Ints)load((const float *)panel + WIDTH)};
    ask_ahead(&ahead, 2 * (int)sizeof(Vec), M);
    UNROLL for (int t = 0; t < M; t++) {
      int32_t pair;
      memcpy(&pair, x + 4 * t, sizeof pair);
      UNROLL for (int v = 0; v < 2; v++) sums[t][v] = dot_pairs(sums[t][v], w[v], pair - (Ints){0});
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
  return ((k + 1) / 2 * 4 * group_size(m) + (int64_t)sizeof(Vec) + 63) / 64 * 64;
}

static void pack_input(void *group, const GptLines *x, int64_t m, int64_t k) {
  pack_lines(group, 4 * group_size(m), x, m, k, GPT_F32);
}

static void pack_f32(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_F32); }
static void pack_f16(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_F16); }
static void pack_bf16(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_BF16); }

#define PANELS(pack) {PANEL, TALL, DEPTH, panel_bytes, panel_bytes, pack, group_bytes, pack_input, multiply_pairs}
#define DEPTH 4096 /* even; a panel of that depth stays in the second cache */

const GptWeightPanels gpt_kernel(panels_f32) = PANELS(pack_f32), gpt_kernel(panels_f16) = PANELS(pack_f16),
                      gpt_kernel(panels_bf16) = PANELS(pack_bf16);

#endif
