/*
 * Products with the weights of GPT-2 small in every dtype, beside their bounds in the same run: few rows beside a plain
 * read of the same bytes by the same threads, a prompt beside OpenBLAS in float32 with as many threads of its own. The
 * two take turns for some rounds; figures are medians, and the spread tells how quiet the machine was.
 *
 * products [--threads N] [--rounds N] [--dtypes f32,q8_0,..] [--rows 1,8,..] [--packed 1]
 *
 * --packed 1: the weights have panels, made ahead; dtypes without such are left out.
 */
#include <string.h>

#include "bounds.h"
#include "core/linalg/kept.h"

#define ROOM ((size_t)512 << 20) /* of weights: more than fits in any cache */
#define MOST_ROUNDS 101
#define MOST_ROWS 1024
#define MOST_COLUMNS 50257
#define LAYERS 12
#define OTHERS 4 /* products of a layer */

/* Inputs and outputs of a layer's products, and of the head */
static const int64_t shapes[OTHERS + 1][2] = {{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}, {768, 50257}};

static GptEnv *env;
static uint8_t *weights;
static float *x, *y;
static size_t place; /* where the next weight begins, so that none is in a cache */
static GptKeptPanels *panels[LAYERS * OTHERS + 1];

typedef struct Case {
  GptDtype dtype;
  int64_t rows, head_rows; /* of the input; the head's are fewer in a prompt: its last only */
} Case;

static GptWeight next_weight(GptDtype dtype, int64_t in, int64_t out) {
  size_t bytes = gpt_dtype_bytes(dtype, in * out);
  if (place + bytes > ROOM) place = 0;
  GptWeight weight = {dtype, weights + place, out, in, in, 1, NULL};
  place += (bytes + 63) / 64 * 64;
  return weight;
}

static size_t bytes_of(const GptWeight *w) { return gpt_dtype_bytes(w->dtype, w->rows * w->columns); }

static void plain_read(const GptWeight *w, int64_t rows) {
  (void)rows;
  bounds_read(w->data, bytes_of(w));
}

static void ours(const GptWeight *w, int64_t rows) {
  GptMatrix out = {y, rows, w->rows, w->rows, 1}, in = {x, rows, w->columns, w->columns, 1};
  if (!gpt_weight_multiply(env, out, in, *w, NULL)) exit(1);
}

static void openblas(const GptWeight *w, int64_t rows) {
  bounds_multiply(y, x, w->data, rows, w->rows, w->columns);
}

/* Weight number i of a pass; with panels it is the same one in each pass. */
static GptWeight weight_of(int i, GptDtype dtype) {
  const int64_t *shape = i == LAYERS * OTHERS ? shapes[OTHERS] : shapes[i % OTHERS];
  if (i == 0 && panels[0] != NULL) place = 0;
  GptWeight weight = next_weight(dtype, shape[0], shape[1]);
  weight.kept = panels[i];
  return weight;
}

static bool make_panels(GptDtype dtype) {
  static char *memory = NULL; /* of all panels */
  size_t at = 0;
  place = 0;
  memset(panels, 0, sizeof panels);
  for (int i = 0; i <= LAYERS * OTHERS; i++) {
    const GptWeight weight = weight_of(i, dtype);
    const size_t bytes = gpt_kept_size(&weight);
    if (memory == NULL) memory = bounds_memory(ROOM);
    if (bytes == 0 || at + bytes > ROOM) return false;
    panels[i] = gpt_kept_make(env, &weight, memory + at);
    if (panels[i] == NULL) exit(1);
    at += bytes;
  }
  return true;
}

/* Seconds of all products of one pass. */
static double timed(void (*call)(const GptWeight *, int64_t), const Case *c, GptDtype dtype) {
  double begin = seconds();
  for (int i = 0; i < LAYERS * OTHERS; i++) {
    const GptWeight weight = weight_of(i, dtype);
    call(&weight, c->rows);
  }
  const GptWeight head = weight_of(LAYERS * OTHERS, dtype);
  if (call == openblas && c->head_rows < 2) ours(&head, c->head_rows);
  else call(&head, c->head_rows);
  double elapsed = seconds() - begin;
  if (call == openblas) bounds_rest();
  return elapsed;
}

static int ascending(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

typedef struct Times {
  double values[MOST_ROUNDS];
  int count;
} Times;

static double median(Times *t) {
  qsort(t->values, (size_t)t->count, sizeof *t->values, ascending);
  return t->values[t->count / 2];
}

/* The middle half's width, in parts of the median */
static double spread(const Times *t) {
  return (t->values[t->count * 3 / 4] - t->values[t->count / 4]) / t->values[t->count / 2];
}

/* Numbers of f16 at some places, so that what stands there is neither infinite nor far from 1 */
static void fill(GptDtype dtype) {
  const size_t bytes = gpt_dtype(dtype)->bytes, count = ROOM / bytes, pattern = (size_t)1 << 16;
  static float numbers[8192];
  for (int i = 0; i < 8192; i++) numbers[i] = (float)(rand() % 2000 - 1000) * 1e-3f;
  for (size_t i = 0; i < count && i < pattern; i++) {
    uint8_t *block = weights + i * bytes;
    if (gpt_dtype(dtype)->from_floats != NULL) {
      gpt_dtype(dtype)->from_floats(block, numbers + i * 32 % 8192, gpt_dtype(dtype)->block);
      continue;
    }
    const uint16_t small = 0x1c00; /* 2^-8 */
    for (size_t b = 0; b < bytes; b++) block[b] = (uint8_t)rand();
    memcpy(block + (dtype == GPT_Q6_K ? bytes - 2 : 0), &small, sizeof small);
    if (dtype != GPT_Q6_K) memcpy(block + 2, &small, sizeof small);
  }
  for (size_t i = pattern; i + pattern <= count; i += pattern) memcpy(weights + i * bytes, weights, pattern * bytes);
}

static double flops(const Case *c) {
  double layer = 0;
  for (int i = 0; i < OTHERS; i++) layer += (double)(shapes[i][0] * shapes[i][1]);
  return 2 * ((double)c->rows * layer * LAYERS + (double)c->head_rows * (double)(shapes[OTHERS][0] * shapes[OTHERS][1]));
}

static void compare(const Case *c, int rounds) {
  const bool prompt = c->rows > 64;
  Times bound = {.count = rounds}, mine = {.count = rounds};
  timed(ours, c, c->dtype);
  for (int r = 0; r < rounds; r++) {
    bound.values[r] = prompt ? timed(openblas, c, GPT_F32) : timed(plain_read, c, c->dtype);
    mine.values[r] = timed(ours, c, c->dtype);
  }
  double base = median(&bound), own = median(&mine);
  printf("%-5s %5lld  %9.1f  %8.1f  %8.2f  %8.0f  %5.0f%% %5.0f%%\n", gpt_dtype_name(c->dtype), (long long)c->rows,
         (double)c->rows / base, (double)c->rows / own, base / own, flops(c) * 1e-9 / own, 100 * spread(&bound),
         100 * spread(&mine));
  fflush(stdout);
}

static void compare_all(const char *dtypes, const char *rows, int rounds, bool packed) {
  printf("%d threads, %s kernels, %s\n", gpt_threads(), gpt_kernels()->name, openblas_get_config());
  printf("bound: up to 64 rows a plain read of the same bytes, else OpenBLAS in f32\n\n"
         "       rows   bound/s    ours/s     ratio   GFLOP/s  spread of both\n");
  for (int d = 0; d < GPT_DTYPES; d++) {
    if (d == GPT_I64 || (dtypes != NULL && strstr(dtypes, gpt_dtype_name((GptDtype)d)) == NULL)) continue;
    fill((GptDtype)d);
    if (packed && !make_panels((GptDtype)d)) continue;
    for (const char *at = rows; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) {
      const Case c = {(GptDtype)d, atoi(at), atoi(at) > 64 ? 1 : atoi(at)};
      if (c.rows >= 1 && c.rows <= MOST_ROWS) compare(&c, c.rows > 64 ? (rounds + 3) / 4 : rounds);
    }
  }
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise) {
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0) return argv[i + 1];
  return otherwise;
}

int main(int argc, char **argv) {
  int rounds = atoi(option(argc, argv, "--rounds", "11"));
  if (rounds < 1 || rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
  gpt_threads_set(atoi(option(argc, argv, "--threads", "0")));
  env = gpt_env_new();
  if (env == NULL) return 1;
  weights = bounds_memory(ROOM);
  x = random_floats((int64_t)MOST_ROWS * 3072);
  y = random_floats((int64_t)64 * MOST_COLUMNS);
  compare_all(option(argc, argv, "--dtypes", NULL), option(argc, argv, "--rows", "1,2,4,8,16,32,512"), rounds,
              atoi(option(argc, argv, "--packed", "0")) != 0);
  return 0;
}
