/*
 * Products of many rows in bf16 by tiles: 32 rows of the input by a panel of 32 rows of the weight are four tiles of
 * sums. A panel is that of pairs (lanes_panel.c), which is a tile's layout, filled up with zeros to whole tiles. The order
 * of an element's sum depends on k alone.
 */
#include "core/kernels/amx.h"
#include "core/kernels/table.h"
#include "core/kernels/tiles.h"
#include "core/kernels/transpose.h"

#define PANEL 32
#define GROUP 32
#define PAIR_BYTES (4 * PANEL) /* of a panel: a pair of numbers of each of its rows */
#define STEP_BYTES (TILE_NUMBERS / 2 * PAIR_BYTES)
#define DEPTH 4096 /* whole tiles; a panel of that depth stays in the second cache */

static int64_t steps_of(int64_t k) { return (k + TILE_NUMBERS - 1) / TILE_NUMBERS; }
static int64_t tile_panel_bytes(int64_t k) { return steps_of(k) * STEP_BYTES; }

/* Rows that a group of m is stored as: one tile of them, or two. */
static int64_t tile_group_size(int64_t m) { return m <= TILE_ROWS ? TILE_ROWS : 2 * TILE_ROWS; }
static int64_t tile_group_bytes(int64_t m, int64_t k) { return steps_of(k) * tile_group_size(m) * 64; }

INLINE void pack(void *panel, const GptLines *w, int64_t lines, int64_t k, const GptDtype dtype) {
  const int64_t packed = (k + 1) / 2 * PAIR_BYTES;
  gpt_kernels()->weights[dtype].panels->pack(panel, w, lines, k);
  memset((char *)panel + packed, 0, (size_t)(tile_panel_bytes(k) - packed));
}

static void pack_tiles_f32(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_F32); }
static void pack_tiles_f16(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_F16); }
static void pack_tiles_bf16(void *panel, const GptLines *w, int64_t lines, int64_t k) { pack(panel, w, lines, k, GPT_BF16); }

/* Up to WIDTH floats, then zeros */
INLINE Vec load_up_to(const float *p, int64_t n) {
  return n >= WIDTH ? load(p) : n > 0 ? load_part(p, n, (Vec){0}) : (Vec){0};
}

/* WIDTH numbers along k, from number p on, of up to WIDTH lines from line `first` on: a vector for each line */
INLINE void load_square(Ints square[WIDTH], const GptLines *x, int64_t first, int64_t lines, int64_t p, int64_t k) {
  UNROLL for (int i = 0; i < WIDTH; i++) {
    const char *data = x->data;
    const bool there = x->across ? p + i < k : i < lines;
    const float *from = (const float *)(data + (x->across ? p + i : first + i) * x->bytes) + (x->across ? first : p);
    square[i] = there ? (Ints)load_up_to(from, x->across ? lines : k - p) : (Ints){0};
  }
  if (x->across) transpose(square);
}

/* A tile of the input: up to 16 lines from `first` on, 32 numbers of each from p on */
INLINE void pack_tile(char *to, const GptLines *x, int64_t first, int64_t lines, int64_t p, int64_t k) {
  Ints low[WIDTH], high[WIDTH];
  load_square(low, x, first, lines, p, k);
  load_square(high, x, first, lines, p + WIDTH, k);
  UNROLL for (int i = 0; i < WIDTH; i++) {
    const Ints row = to_bf16((Vec)low[i], (Vec)high[i]);
    memcpy(to + 64 * i, &row, sizeof row);
  }
}

static void pack_input_tiles(void *group, const GptLines *x, int64_t m, int64_t k) {
  char *to = group;
  for (int64_t p = 0; p < k; p += TILE_NUMBERS)
    for (int64_t first = 0; first < m; first += TILE_ROWS, to += TILE_BYTES)
      pack_tile(to, x, first, m - first < TILE_ROWS ? m - first : TILE_ROWS, p, k);
}

/* 16 rows of the input by a panel */
INLINE void sum_one(Tiles *tiles, float sums[GROUP][PANEL], const char *x, const char *panel, int64_t steps) {
  (void)tiles; /* where they are registers */
  TILE_ZERO(tiles, 0);
  TILE_ZERO(tiles, 1);
  for (int64_t s = 0; s < steps; s++, x += TILE_BYTES, panel += STEP_BYTES) {
    TILE_LOAD(tiles, 4, x, 64);
    TILE_LOAD(tiles, 6, panel, PAIR_BYTES);
    TILE_LOAD(tiles, 7, panel + 64, PAIR_BYTES);
    TILE_DOT(tiles, 0, 4, 6);
    TILE_DOT(tiles, 1, 4, 7);
  }
  TILE_STORE(tiles, 0, sums[0], PANEL * 4);
  TILE_STORE(tiles, 1, sums[0] + 16, PANEL * 4);
}

/* 32 rows */
INLINE void sum_two(Tiles *tiles, float sums[GROUP][PANEL], const char *x, const char *panel, int64_t steps) {
  (void)tiles; /* where they are registers */
  TILE_ZERO(tiles, 0);
  TILE_ZERO(tiles, 1);
  TILE_ZERO(tiles, 2);
  TILE_ZERO(tiles, 3);
  for (int64_t s = 0; s < steps; s++, x += 2 * TILE_BYTES, panel += STEP_BYTES) {
    TILE_LOAD(tiles, 4, x, 64);
    TILE_LOAD(tiles, 5, x + TILE_BYTES, 64);
    TILE_LOAD(tiles, 6, panel, PAIR_BYTES);
    TILE_LOAD(tiles, 7, panel + 64, PAIR_BYTES);
    TILE_DOT(tiles, 0, 4, 6);
    TILE_DOT(tiles, 1, 4, 7);
    TILE_DOT(tiles, 2, 5, 6);
    TILE_DOT(tiles, 3, 5, 7);
  }
  TILE_STORE(tiles, 0, sums[0], PANEL * 4);
  TILE_STORE(tiles, 1, sums[0] + 16, PANEL * 4);
  TILE_STORE(tiles, 2, sums[16], PANEL * 4);
  TILE_STORE(tiles, 3, sums[16] + 16, PANEL * 4);
}

/* y[i] = sums[i] + begin[i], or sums[i] where there is nothing to begin with */
INLINE void store_row(float *y, const float *sums, const float *begin, int64_t n) {
  for (int64_t j = 0; j < n; j++) y[j] = begin != NULL ? sums[j] + begin[j] : sums[j];
}

static void multiply_by_tiles(const GptPanelProduct *o) {
  float sums[GROUP][PANEL] __attribute__((aligned(64)));
  const char *x = (const char *)o->x + tile_group_bytes(o->m, o->first);
  Tiles tiles;
  tiles_begin(&tiles);
  if (o->m <= TILE_ROWS) sum_one(&tiles, sums, x, o->panel, steps_of(o->k));
  else sum_two(&tiles, sums, x, o->panel, steps_of(o->k));
  tiles_end(&tiles);
  for (int64_t i = 0; i < o->m; i++) {
    float *y = o->y + i * o->ldy;
    store_row(y, sums[i], o->add ? y : o->bias, o->n);
  }
}

#define PANELS(pack)                                                                                                 \
  {PANEL, GROUP, DEPTH, tile_panel_bytes, tile_panel_bytes, pack, tile_group_bytes, pack_input_tiles, multiply_by_tiles}

static const GptWeightPanels tiles_f32 = PANELS(pack_tiles_f32), tiles_f16 = PANELS(pack_tiles_f16),
                             tiles_bf16 = PANELS(pack_tiles_bf16);

const GptWeightPanels *const gpt_kernel(tiles)[GPT_DTYPES] = {
    [GPT_F32] = &tiles_f32, [GPT_F16] = &tiles_f16, [GPT_BF16] = &tiles_bf16};
