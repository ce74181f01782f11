/*
 * Tiles, as Intel's AMX has them: eight registers of 16 rows of 64 bytes. Here in plain C, and by the instructions where
 * this file is compiled for them; so that what is written over tiles runs, and is checked, everywhere.
 */
#ifndef GPT_TILES_H
#define GPT_TILES_H

#include "core/kernels/pairs.h"

#define TILE_ROWS 16
#define TILE_NUMBERS 32 /* of bf16 in a row */
#define TILE_BYTES 1024

#if defined(__AMX_BF16__) || defined(__AMXBF16__) /* gcc, and clang up to 14 */

typedef struct Tiles {
  char none;
} Tiles;

/* What ldtilecfg reads: every tile has 16 rows of 64 bytes. Constant, because gcc does not know that all of it is read. */
static const struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

INLINE void tiles_begin(Tiles *tiles) {
  (void)tiles;
  _tile_loadconfig(&tile_config);
}

/* Without it each switch of threads would save 8 KiB. */
INLINE void tiles_end(Tiles *tiles) {
  (void)tiles;
  _tile_release();
}

#define TILE_ZERO(tiles, c) _tile_zero(c)
#define TILE_LOAD(tiles, c, from, stride) _tile_loadd(c, from, stride)
#define TILE_STORE(tiles, c, to, stride) _tile_stored(c, to, stride)
/* c += a b: rows of a are 32 numbers, rows of b pairs of numbers of 16 columns. */
#define TILE_DOT(tiles, c, a, b) _tile_dpbf16ps(c, a, b)

#else

typedef union Tile {
  char bytes[TILE_ROWS][64];
  uint16_t numbers[TILE_ROWS][TILE_NUMBERS];
  float floats[TILE_ROWS][16];
} Tile;

typedef struct Tiles {
  Tile tile[8];
} Tiles;

INLINE void tiles_begin(Tiles *tiles) { (void)tiles; }
INLINE void tiles_end(Tiles *tiles) { (void)tiles; }

INLINE void tile_load(Tile *to, const void *from, int64_t stride) {
  for (int i = 0; i < TILE_ROWS; i++) memcpy(to->bytes[i], (const char *)from + i * stride, 64);
}

INLINE void tile_store(const Tile *from, void *to, int64_t stride) {
  for (int i = 0; i < TILE_ROWS; i++) memcpy((char *)to + i * stride, from->bytes[i], 64);
}

INLINE float float_of_bf16(uint16_t number) {
  const uint32_t bits = (uint32_t)number << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

INLINE void tile_dot(Tile *c, const Tile *a, const Tile *b) {
  for (int i = 0; i < TILE_ROWS; i++)
    for (int p = 0; p < TILE_NUMBERS; p++)
      for (int j = 0; j < 16; j++)
        c->floats[i][j] += float_of_bf16(a->numbers[i][p]) * float_of_bf16(b->numbers[p / 2][2 * j + p % 2]);
}

#define TILE_ZERO(tiles, c) memset(&(tiles)->tile[c], 0, sizeof(Tile))
#define TILE_LOAD(tiles, c, from, stride) tile_load(&(tiles)->tile[c], from, stride)
#define TILE_STORE(tiles, c, to, stride) tile_store(&(tiles)->tile[c], to, stride)
#define TILE_DOT(tiles, c, a, b) tile_dot(&(tiles)->tile[c], &(tiles)->tile[a], &(tiles)->tile[b])

#endif
#endif
