/*
 * Products of many rows with weights in floats. A panel is two vectors of columns: along k, a lane of each column after
 * the other; up to TALL rows of the input stand together in the same way. A lane is a float; or, on processors that
 * multiply them, a pair of numbers that are rounded to bf16 while they are packed, with sums in f32. The order of an
 * element's sum depends on k alone.
 */
#include "core/kernels/ahead.h"
#include "core/kernels/pairs.h"
#include "core/kernels/table.h"
#include "core/kernels/transpose.h"

#if WIDTH == 16 || defined(HAS_PAIRS)

#define TALL 12 /* rows by two vectors: 24 sums, 2 vectors of the panel and some more fit in 32 registers */
#define PANEL (2 * WIDTH)

/* What is packed: so many numbers of a dtype a lane */
typedef struct Lane {
  int numbers;
  GptDtype dtype;
} Lane;

#define FLOATS ((Lane){1, GPT_F32})
#define PAIRS_OF(dtype) ((Lane){2, dtype})

INLINE int64_t size_of(const Lane lane) { return lane.dtype == GPT_F32 ? 4 : 2; }
INLINE int64_t lanes_of(const Lane lane, int64_t k) { return (k + lane.numbers - 1) / lane.numbers; }

/* How many rows a group of m stands for: there is code for some sizes only. What is in the rows beyond is not used. */
static int64_t group_size(int64_t m) { return m <= 2 ? 2 : m <= 4 ? 4 : m <= 8 ? 8 : TALL; }

#if defined(HAS_PAIRS)
/* 2 * WIDTH numbers that stand side by side, from two places for WIDTH each */
INLINE Ints load_bf16(const void *low, const void *high, const GptDtype dtype) {
  if (dtype == GPT_F32) return to_bf16(load(low), load(high));
  if (dtype == GPT_F16) return to_bf16(from_f16(load_halves(low)), from_f16(load_halves(high)));
  return join_halves(load_halves(low), load_halves(high));
}
#else
#define load_bf16(low, high, dtype) ((Ints){0})
#define zip_halves(v) (v)
#define dot_pairs(sums, w, x) (sums)
#endif

/* Up to WIDTH floats, then zeros */
INLINE Vec load_up_to(const float *p, int64_t n) { return n >= WIDTH ? load(p) : load_part(p, n, (Vec){0}); }

/* WIDTH lanes of numbers that stand side by side */
INLINE Ints load_lanes(const char *p, const Lane lane) {
  return lane.numbers == 1 ? (Ints)load((const float *)p) : load_bf16(p, p + WIDTH * size_of(lane), lane.dtype);
}

/* The same of fewer numbers; zeros follow. */
INLINE Ints load_some_lanes(const char *p, int64_t count, const Lane lane) {
  if (lane.numbers == 1) return (Ints)load_up_to((const float *)p, count);
  char part[8 * WIDTH] = {0};
  return load_lanes(memcpy(part, p, (size_t)(count * size_of(lane))), lane);
}

/* The lanes of up to WIDTH columns, from a line of their numbers; of pairs the second ones from the next line, or zeros. */
INLINE Ints lanes_across(const char *p, const char *next, int64_t count, const Lane lane) {
  if (lane.numbers == 1) return (Ints)load_up_to((const float *)p, count);
  char part[2][4 * WIDTH];
  if (count < WIDTH || next == NULL) {
    memset(part, 0, sizeof part);
    p = memcpy(part[0], p, (size_t)(count * size_of(lane)));
    next = next != NULL ? memcpy(part[1], next, (size_t)(count * size_of(lane))) : part[1];
  }
  return zip_halves(load_bf16(p, next, lane.dtype));
}

/* The lanes of `count` numbers, from number p on, of `lines` lines (at most WIDTH) go to vectors that are `step` apart, of
   which the first `lines` lanes count. Each store may write over what follows. */
INLINE void pack_square(char *to, int64_t step, const GptLines *from, int64_t lines, int64_t p, int64_t count,
                        const Lane lane, const bool whole) {
  Ints square[WIDTH];
  UNROLL for (int i = 0; i < WIDTH; i++) {
    const char *line = (const char *)from->data + (i < lines ? i : 0) * from->bytes + p * size_of(lane);
    square[i] = whole ? load_lanes(line, lane) : load_some_lanes(line, count, lane);
  }
  transpose(square);
  UNROLL for (int i = 0; i < WIDTH; i++)
    if (whole || i < lanes_of(lane, count)) memcpy(to + i * step, &square[i], sizeof square[i]);
}

INLINE void pack_along(char *to, int64_t step, const GptLines *from, int64_t lines, int64_t k, const Lane lane) {
  const int64_t most = lane.numbers * WIDTH;
  int64_t p = 0;
  for (; p + most <= k; p += most, to += WIDTH * step) pack_square(to, step, from, lines, p, most, lane, true);
  if (p < k) pack_square(to, step, from, lines, p, k - p, lane, false);
}

INLINE void pack_across(char *to, int64_t step, const GptLines *from, int64_t lines, int64_t k, const Lane lane) {
  const char *line = from->data;
  for (int64_t p = 0; p < k; p += lane.numbers, line += lane.numbers * from->bytes, to += step) {
    Ints lanes = lanes_across(line, p + 1 < k ? line + from->bytes : NULL, lines, lane);
    memcpy(to, &lanes, sizeof lanes);
  }
}

/* WIDTH lines at a time, the last ones first: a store of fewer may not write over what is there. */
INLINE void pack_lines(char *to, int64_t step, const GptLines *from, int64_t lines, int64_t k, const Lane lane) {
  const int64_t line_bytes = from->across ? size_of(lane) : from->bytes;
  for (int64_t first = (lines - 1) / WIDTH * WIDTH; first >= 0; first -= WIDTH) {
    const GptLines strip = {(const char *)from->data + first * line_bytes, from->bytes, from->across};
    const int64_t count = lines - first < WIDTH ? lines - first : WIDTH;
    if (strip.across) pack_across(to + 4 * first, step, &strip, count, k, lane);
    else pack_along(to + 4 * first, step, &strip, count, k, lane);
  }
}

INLINE void pack(void *panel, const GptLines *from, int64_t lines, int64_t k, const Lane lane) {
  pack_lines(panel, (int64_t)sizeof(Vec[2]), from, lines, k, lane);
}

INLINE void pack_group(void *group, const GptLines *x, int64_t m, int64_t k, const Lane lane) {
  pack_lines(group, 4 * group_size(m), x, m, k, lane);
}

/* What stands in lanes beyond the last line is never used. */
INLINE void multiply(const GptPanelProduct *o, const int numbers, const int M) {
  const int64_t n = o->n, m = o->m;
  const char *panel = o->panel, *x = (const char *)o->x + o->first / numbers * 4 * M;
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
  for (int64_t p = 0; p < o->k; p += numbers, panel += sizeof(Vec[2]), x += 4 * M) {
    const Ints w[2] = {(Ints)load((const float *)panel), (Ints)load((const float *)panel + WIDTH)};
    ask_ahead(&ahead, 2 * (int)sizeof(Vec), M);
    UNROLL for (int t = 0; t < M; t++) {
      int32_t lane;
      memcpy(&lane, x + 4 * t, sizeof lane);
      const Ints lanes = lane - (Ints){0};
      UNROLL for (int v = 0; v < 2; v++)
        sums[t][v] = numbers == 2 ? dot_pairs(sums[t][v], w[v], lanes) : sums[t][v] + (Vec)w[v] * (Vec)lanes;
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

INLINE void multiply_any(const GptPanelProduct *o, const int numbers) {
  switch (group_size(o->m)) {
    case 2: multiply(o, numbers, 2); break;
    case 4: multiply(o, numbers, 4); break;
    case 8: multiply(o, numbers, 8); break;
    default: multiply(o, numbers, TALL); break;
  }
}

INLINE int64_t panel_bytes(const Lane lane, int64_t k) { return lanes_of(lane, k) * (int64_t)sizeof(Vec[2]); }
INLINE int64_t group_bytes(const Lane lane, int64_t m, int64_t k) {
  return (lanes_of(lane, k) * 4 * group_size(m) + (int64_t)sizeof(Vec) + 63) / 64 * 64;
}

#define PACK(name, lane) \
  static void pack_##name(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, lane); }

#if WIDTH == 16
#define FLOATS_DEPTH 1024 /* a panel of that depth, and a group of the input, stay in the second cache */

static int64_t floats_panel_bytes(int64_t k) { return panel_bytes(FLOATS, k); }
static int64_t floats_group_bytes(int64_t m, int64_t k) { return group_bytes(FLOATS, m, k); }
static void pack_floats_input(void *to, const GptLines *x, int64_t m, int64_t k) { pack_group(to, x, m, k, FLOATS); }
static void multiply_floats_panel(const GptPanelProduct *o) { multiply_any(o, 1); }
PACK(floats, FLOATS)

const GptWeightPanels gpt_kernel(panels_floats) = {
    PANEL, TALL, FLOATS_DEPTH, floats_panel_bytes, floats_panel_bytes, pack_floats, floats_group_bytes,
    pack_floats_input, multiply_floats_panel};
#endif

#if defined(HAS_PAIRS)
#define PAIRS_DEPTH 4096 /* even; a panel of that depth stays in the second cache */

static int64_t pairs_panel_bytes(int64_t k) { return panel_bytes(PAIRS_OF(GPT_F32), k); }
static int64_t pairs_group_bytes(int64_t m, int64_t k) { return group_bytes(PAIRS_OF(GPT_F32), m, k); }
static void pack_pairs_input(void *to, const GptLines *x, int64_t m, int64_t k) { pack_group(to, x, m, k, PAIRS_OF(GPT_F32)); }
static void multiply_pairs_panel(const GptPanelProduct *o) { multiply_any(o, 2); }
PACK(f32, PAIRS_OF(GPT_F32))
PACK(f16, PAIRS_OF(GPT_F16))
PACK(bf16, PAIRS_OF(GPT_BF16))

#define PANELS(pack)                                                                                       \
  {PANEL, TALL, PAIRS_DEPTH, pairs_panel_bytes, pairs_panel_bytes, pack, pairs_group_bytes, pack_pairs_input, \
   multiply_pairs_panel}

const GptWeightPanels gpt_kernel(panels_f32) = PANELS(pack_f32), gpt_kernel(panels_f16) = PANELS(pack_f16),
                      gpt_kernel(panels_bf16) = PANELS(pack_bf16);
#endif

#endif
