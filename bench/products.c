/*
 * Matrix products in the shapes of GPT-2 small, beside their bounds, in one run: products with few rows beside a
 * plain read of the same weights (GB/s), products with many beside OpenBLAS's own threads (GFLOP/s). Each figure is
 * the median of several rounds, in which all of them take turns; weights come from a set larger than the caches.
 *
 * products [threads [rounds]]
 * products gpt2 [threads [rounds]] prints the bounds of GPT-2 small itself, as lines of a name and a value: reading
 * all its weights once (tokens/s of decoding), and OpenBLAS's own rate for the products of a prompt (tokens/s).
 */
#include <cblas.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/linalg/matrix.h"
#include "core/base/parallel.h"
#include "measure.h"

#define WEIGHTS ((int64_t)124439808) /* GPT-2 small, tied, with biases: more than fits in any cache */
#define MOST_ROUNDS 101
#define MOST_ROWS 1024
#define MOST_COLUMNS 50257

typedef struct Shape {
  int64_t m, k, n;
  bool transposed; /* the weight lies as [out, in] */
} Shape;

static const Shape few[] = {
    {1, 768, 2304, false}, {1, 768, 768, false}, {1, 768, 3072, false},  {1, 3072, 768, false}, {1, 768, 2304, true},
    {1, 768, 768, true},   {1, 768, 3072, true}, {1, 3072, 768, true},   {1, 768, 50257, true}, {2, 768, 2304, false},
    {2, 768, 2304, true},  {4, 768, 2304, false}, {4, 768, 2304, true},  {8, 768, 2304, false}, {8, 768, 2304, true},
    {8, 3072, 768, false}, {8, 3072, 768, true}, {8, 768, 50257, true},
};

static const Shape many[] = {
    {16, 768, 2304, false},  {16, 768, 2304, true},  {64, 768, 2304, false},  {64, 768, 2304, true},
    {512, 768, 2304, false}, {512, 768, 768, false}, {512, 768, 3072, false}, {512, 3072, 768, false},
    {512, 768, 2304, true},  {512, 768, 768, true},  {512, 768, 3072, true},  {512, 3072, 768, true},
    {1000, 768, 2304, false}, {1000, 768, 768, false}, {1000, 768, 3072, false}, {1000, 3072, 768, false},
    {64, 768, 50257, true},
};

static GptEnv *env;
static float *weights, *x, *y;
static int64_t place; /* where the next weight begins, so that none is in a cache */

static float *next_weight(const Shape *s) {
  if (place + s->k * s->n > WEIGHTS) place = 0;
  float *weight = weights + place;
  place += s->k * s->n;
  return weight;
}

static void read_part(void *context, int64_t first, int64_t last) {
  volatile float sink = gpt_kernels()->sum((const float *)context + first, last - first);
  (void)sink;
}

static void plain_read(const Shape *s, float *weight) {
  gpt_parallel_for(s->k * s->n, 1 << 16, read_part, weight);
}

static void ours(const Shape *s, float *weight) {
  GptMatrix b = {weight, s->k, s->n, s->transposed ? 1 : s->n, s->transposed ? s->k : 1};
  GptMatrix c = {y, s->m, s->n, s->n, 1}, a = {x, s->m, s->k, s->k, 1};
  if (!gpt_matrix_multiply(env, c, a, b, NULL, false)) exit(1);
}

static void openblas(const Shape *s, float *weight) {
  openblas_set_num_threads(gpt_threads());
  cblas_sgemm(CblasRowMajor, CblasNoTrans, s->transposed ? CblasTrans : CblasNoTrans, (int)s->m, (int)s->n, (int)s->k,
              1.0f, x, (int)s->k, weight, (int)(s->transposed ? s->k : s->n), 0.0f, y, (int)s->n);
  openblas_set_num_threads(1);
}

/* OpenBLAS's threads go on spinning for a while, and would take a processor from ours. */
static void rest(void) { nanosleep(&(struct timespec){0, 60000000}, NULL); }

/* Seconds of one call, from as many as take some milliseconds. */
static double timed(void (*call)(const Shape *, float *), const Shape *s) {
  int64_t work = s->m * s->k * s->n;
  int calls = work < 100000000 ? (int)(100000000 / work) + 1 : 1;
  if (calls > 24) calls = 24;
  rest();
  call(s, next_weight(s));
  double begin = seconds();
  for (int i = 0; i < calls; i++) call(s, next_weight(s));
  return (seconds() - begin) / calls;
}

static int ascending(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return values[count / 2];
}

/* Two ways to do the same, in turns: the medians of their rates, `unit` being the work of one call. */
static void compare(const Shape *s, void (*bound)(const Shape *, float *), double unit, int rounds) {
  double a[MOST_ROUNDS], b[MOST_ROUNDS];
  timed(ours, s);
  for (int r = 0; r < rounds; r++) {
    a[r] = timed(bound, s);
    b[r] = timed(ours, s);
  }
  double base = unit / median(a, rounds), mine = unit / median(b, rounds);
  printf("%5lld x %4lld x %5lld  %s  %8.1f  %8.1f  %5.0f%%\n", (long long)s->m, (long long)s->k, (long long)s->n,
         s->transposed ? "[out, in]" : "[in, out]", base, mine, 100 * mine / base);
}

static void start(int threads) {
  gpt_threads_set(threads);
  env = gpt_env_new();
  if (env == NULL) exit(1);
  weights = random_floats(WEIGHTS);
  x = random_floats((int64_t)MOST_ROWS * 3072);
  y = random_floats((int64_t)MOST_ROWS * MOST_COLUMNS);
}

static void compare_all(int rounds) {
  printf("%d threads, %s kernels, %s\n\nfew rows, GB/s        weights    plain read    ours\n", gpt_threads(),
         gpt_kernels()->name, openblas_get_config());
  for (size_t i = 0; i < sizeof few / sizeof *few; i++)
    compare(&few[i], plain_read, 4e-9 * (double)(few[i].k * few[i].n), rounds);
  printf("\nmany rows, GFLOP/s    weights    OpenBLAS      ours\n");
  for (size_t i = 0; i < sizeof many / sizeof *many; i++)
    compare(&many[i], openblas, 2e-9 * (double)(many[i].m * many[i].k * many[i].n), rounds);
}

/* The products of a prompt: four for each of 12 layers, and the head for its last token. */
static double prompt_seconds(int64_t m) {
  static const int64_t sizes[4][2] = {{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}};
  double begin = seconds();
  for (int i = 0; i < 48; i++) {
    const Shape s = {m, sizes[i % 4][0], sizes[i % 4][1], false};
    openblas(&s, next_weight(&s));
  }
  const Shape head = {1, 768, 50257, true};
  ours(&head, next_weight(&head));
  return seconds() - begin;
}

static void tell_bounds(int rounds) {
  for (int r = 0; r < rounds; r++) {
    rest();
    double begin = seconds();
    gpt_parallel_for(WEIGHTS, 1 << 16, read_part, weights);
    printf("decode %.6f\n", 1 / (seconds() - begin));
    printf("prompt_512 %.6f\n", 512 / prompt_seconds(512));
    printf("prompt_1000 %.6f\n", 1000 / prompt_seconds(1000));
  }
}

int main(int argc, char **argv) {
  bool gpt2 = argc > 1 && strcmp(argv[1], "gpt2") == 0;
  argc -= gpt2, argv += gpt2;
  int rounds = argc > 2 ? atoi(argv[2]) : 11;
  if (rounds < 1 || rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
  start(argc > 1 ? atoi(argv[1]) : 0);
  if (gpt2) tell_bounds(rounds);
  else compare_all(rounds);
  return 0;
}
