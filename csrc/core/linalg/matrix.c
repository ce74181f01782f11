#include "core/linalg/matrix.h"

#include <stddef.h>

#include "core/kernels/kernels.h"
#include "core/base/parallel.h"
#include "core/linalg/blas_seats.h"
#include "core/linalg/packed.h"
#include "core/linalg/product.h"
#include "core/base/scratch.h"

#define SKINNY_WORK (1 << 16) /* multiplications worth a hand-over to another thread */
#define LONG_SHARE 4096       /* columns of a weight of which a thread takes half its share at a time */
#define TILE_ROWS 480         /* both sides of a tile may be packed: smaller ones cost some percent, */
#define TILE_COLUMNS 384      /* larger ones leave threads without work and fall out of the caches */
#define BLAS_COLUMNS 768      /* where OpenBLAS packs, which has blocks of its own; */
#define LEAST_ROWS 96         /* they are halved while there are too few of them, */
#define LEAST_COLUMNS 64      /* but not below that */
#define TILES_EACH 3          /* tiles for each thread, so that all end at about the same time */
#define SHAPED_TILES 4        /* tiles wanted where the number of threads must not count */
#define SHALLOW 512           /* the deepest product from tiles of our own panels */
#define PACKED_DEPTH 4096     /* of sums whose sides are packed once, at a time, */
#define PACKED_FLOATS (2 << 20) /* and numbers of the left side */

bool gpt_matrix_fits(GptMatrix m) {
  bool by_rows = (m.column_stride == 1 || m.columns <= 1) && (m.rows <= 1 || m.row_stride >= gpt_larger(m.columns, 1));
  bool by_columns =
      (m.row_stride == 1 || m.rows <= 1) && (m.columns <= 1 || m.column_stride >= gpt_larger(m.rows, 1));
  return by_rows || by_columns;
}

static int64_t count_tiles(GptProduct *p) {
  p->column_tiles = (p->c.columns + p->tile_columns - 1) / p->tile_columns;
  return (p->c.rows + p->tile_rows - 1) / p->tile_rows * p->column_tiles;
}

/* n in equal pieces of at most `most`, which is a multiple of unit, and so are they. */
static int64_t even_piece(int64_t n, int64_t most, int64_t unit) {
  int64_t pieces = (n + most - 1) / most;
  return gpt_round_up((n + pieces - 1) / pieces, unit);
}

static bool halve(int64_t *size, int64_t least, int64_t unit) {
  if (*size < 2 * least) return false;
  *size = even_piece(*size, *size / 2 / unit * unit, unit);
  return true;
}

/* Deep products are packed once as a whole (float_panels), or are OpenBLAS's; in shallow ones packing weighs more. */
static bool from_panels(const GptProduct *p) { return gpt_kernels()->panels != NULL && p->a.columns <= SHALLOW; }

/*
 * Cuts into tiles and returns how many. A sum from our own panels is the same wherever a tile ends, so their number
 * follows that of the threads; OpenBLAS's last bits may depend on the cut, so there it follows the shape alone.
 */
static int64_t cut_product(GptProduct *p) {
  bool panels = from_panels(p);
  int64_t unit = panels ? gpt_kernels()->panels->rows : 1, width = panels ? gpt_kernels()->panels->columns : 1;
  int64_t wanted = !panels ? SHAPED_TILES : gpt_threads() > 1 ? TILES_EACH * gpt_threads() : 1;
  p->tile_rows = even_piece(p->c.rows, TILE_ROWS, unit);
  p->tile_columns = even_piece(p->c.columns, panels ? TILE_COLUMNS : BLAS_COLUMNS, width);
  while (count_tiles(p) < wanted)
    if (!(p->tile_rows > p->tile_columns && halve(&p->tile_rows, LEAST_ROWS, unit)) &&
        !halve(&p->tile_columns, LEAST_COLUMNS, width) && !halve(&p->tile_rows, LEAST_ROWS, unit))
      break;
  if (!panels) gpt_blas_fit(p);
  return count_tiles(p);
}

typedef struct Tiles {
  const GptProduct *product;
  bool panels;
  GptScratch scratch;
} Tiles;

static void multiply_tiles(void *context, int64_t first, int64_t last) {
  Tiles *tiles = context;
  const GptProduct *p = tiles->product;
  float *scratch = tiles->panels ? gpt_scratch_take(&tiles->scratch) : NULL;
  for (int64_t t = first; t < last; t++) {
    int64_t row = t / p->column_tiles * p->tile_rows, column = t % p->column_tiles * p->tile_columns;
    if (tiles->panels) gpt_panels_tile(p, row, column, scratch);
    else gpt_blas_tile(p, row, column);
  }
  if (tiles->panels) gpt_scratch_put(&tiles->scratch, scratch);
}

static bool multiply_wide(GptEnv *env, GptProduct *p) {
  int64_t count = cut_product(p);
  Tiles tiles = {.product = p, .panels = from_panels(p)};
  int64_t floats = tiles.panels ? gpt_panels_scratch(p->tile_rows, p->tile_columns, p->a.columns) : 0;
  if (!(tiles.panels ? gpt_scratch_init(&tiles.scratch, env, floats, count) : gpt_blas_ready(env))) return false;
  gpt_parallel_for(count, 1, multiply_tiles, &tiles);
  if (tiles.panels) gpt_scratch_free(&tiles.scratch, env);
  return true;
}

static void multiply_skinny(void *context, int64_t first, int64_t last) {
  const GptProduct *p = context;
  const GptKernels *kernels = gpt_kernels();
  int64_t m = p->c.rows, k = p->a.columns;
  if (p->b.row_stride == 1 || !gpt_by_rows(&p->b))
    kernels->skinny_rows(p->c.data, p->c.row_stride, p->a.data, p->a.row_stride, p->b.data, p->b.column_stride, p->bias,
                         m, k, first, last);
  else
    kernels->skinny_columns(p->c.data, p->c.row_stride, p->a.data, p->a.row_stride, p->b.data, p->b.row_stride, p->bias,
                            m, k, first, last);
}

/* Columns of a piece: whole cache lines and work worth a hand-over. No sum depends on it. */
static int64_t skinny_grain(const GptProduct *p) {
  const int64_t least = SKINNY_WORK / gpt_larger(p->a.columns, 1);
  return gpt_round_up(gpt_larger(gpt_thread_share(p->c.columns, LONG_SHARE), least), 16);
}

static bool is_skinny(const GptEnv *env, const GptProduct *p) {
  const bool lines = p->b.row_stride == 1 && !env->bf16_products; /* of b transposed, one number after the other */
  const int64_t most = lines ? GPT_SKINNY_LINES : GPT_SKINNY_ROWS;
  return p->c.rows <= most && !p->add && (p->a.column_stride == 1 || p->a.columns <= 1);
}

/* The rows of a matrix as lines of floats. */
static GptLines rows_as_lines(const GptMatrix *m) {
  const bool by_rows = gpt_by_rows(m);
  return (GptLines){m->data, (by_rows ? m->row_stride : m->column_stride) * (int64_t)sizeof(float), !by_rows};
}

/* The panels of a product of many rows that is packed once: in bf16 where somebody asked for it; NULL: other ways are
   better. */
static const GptWeightPanels *wide_panels(const GptEnv *env, const GptProduct *p) {
  if (p->bias != NULL && p->add) return NULL;
  const GptWeightPanels *rounded = env->bf16_products ? gpt_weight_panels(GPT_F32) : NULL;
  return rounded != NULL || p->a.columns <= SHALLOW ? rounded : gpt_kernels()->float_panels;
}

/* Rows from `row` on and sums from `at` on */
static bool multiply_part(GptEnv *env, const GptProduct *p, const GptWeightPanels *panels, int64_t row, int64_t rows,
                          int64_t at, int64_t depth) {
  const int64_t m = gpt_smaller(rows, p->c.rows - row), k = gpt_smaller(depth, p->a.columns - at);
  const GptMatrix a = gpt_part(&p->a, row, m, at, k);
  const GptMatrix columns = gpt_matrix_transposed(gpt_part(&p->b, at, k, 0, p->b.columns));
  const GptPacked packed = {.y = gpt_part(&p->c, row, m, 0, p->c.columns), .x = rows_as_lines(&a),
                            .w = rows_as_lines(&columns), .w_size = sizeof(float), .k = k,
                            .bias = at == 0 ? p->bias : NULL, .add = p->add || at > 0};
  return gpt_panels_multiply(env, &packed, panels);
}

/* Part by part, so that what is packed takes little memory. Sums are cut by k alone. */
static bool multiply_by_parts(GptEnv *env, const GptProduct *p, const GptWeightPanels *panels) {
  const int64_t depth = gpt_larger(gpt_smaller(p->a.columns, PACKED_DEPTH), 1);
  const int64_t rows = even_piece(p->c.rows, PACKED_FLOATS / depth, panels->group_rows);
  int64_t at = 0;
  do {
    for (int64_t row = 0; row < p->c.rows; row += rows)
      if (!multiply_part(env, p, panels, row, rows, at, depth)) return false;
    at += depth;
  } while (at < p->a.columns);
  return true;
}

bool gpt_matrix_multiply(GptEnv *env, GptMatrix c, GptMatrix a, GptMatrix b, const float *bias, bool add) {
  GptProduct p = {.c = c, .a = a, .b = b, .bias = bias, .add = add};
  if (c.rows <= 0 || c.columns <= 0) return true;
  if (!is_skinny(env, &p)) {
    const GptWeightPanels *panels = wide_panels(env, &p);
    return panels != NULL ? multiply_by_parts(env, &p, panels) : multiply_wide(env, &p);
  }
  if (gpt_is_deep(&p)) return gpt_deep_multiply(env, &p);
  gpt_parallel_for(c.columns, skinny_grain(&p), multiply_skinny, &p);
  return true;
}

int64_t gpt_matrix_scratch(int64_t rows, int64_t columns, int64_t depth) {
  return gpt_kernels()->panels != NULL ? gpt_panels_scratch(rows, gpt_smaller(columns, TILE_COLUMNS), depth) : 0;
}

bool gpt_matrix_scratch_init(GptScratch *scratch, GptEnv *env, int64_t floats, int64_t items) {
  return (gpt_kernels()->panels != NULL || gpt_blas_ready(env)) && gpt_scratch_init(scratch, env, floats, items);
}

void gpt_matrix_multiply_serial(GptMatrix c, GptMatrix a, GptMatrix b, bool add, GptCausal causal, float *scratch) {
  GptProduct p = {.c = c, .a = a, .b = b, .add = add, .causal = causal, .tile_rows = c.rows, .tile_columns = c.columns};
  if (c.rows <= 0 || c.columns <= 0) return;
  if (gpt_kernels()->panels != NULL) {
    p.tile_columns = gpt_smaller(c.columns, TILE_COLUMNS);
    for (int64_t column = 0; column < c.columns; column += TILE_COLUMNS) gpt_panels_tile(&p, 0, column, scratch);
    return;
  }
  gpt_blas_fit(&p);
  for (int64_t row = 0; row < c.rows; row += p.tile_rows)
    for (int64_t column = 0; column < c.columns; column += p.tile_columns) gpt_blas_tile(&p, row, column);
}
