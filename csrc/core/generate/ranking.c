#include "core/generate/ranking.h"

#include <math.h>
#include <string.h>

#include "core/base/parallel.h"
#include "core/kernels/kernels.h"

#define LANES 16
#define PARTS 4 /* of the scores, which threads look at */
#define BUCKETS 2048

typedef struct Parts {
  const float *scores;
  int64_t n;
  float greatest[PARTS];
} Parts;

static void look_at_parts(void *context, int64_t first, int64_t last) {
  Parts *parts = context;
  for (int64_t i = first; i < last; i++) {
    const int64_t from = parts->n * i / PARTS, to = parts->n * (i + 1) / PARTS;
    parts->greatest[i] = gpt_kernels()->greatest(parts->scores + from, to - from);
  }
}

GptGreatest gpt_rank_greatest(const float *scores, int64_t n) {
  Parts parts = {.scores = scores, .n = n};
  GptGreatest greatest = {.score = -INFINITY};
  gpt_parallel_for(PARTS, gpt_grain(n / PARTS), look_at_parts, &parts);
  for (int i = 0; i < PARTS; i++) {
    if (isnan(parts.greatest[i])) return (GptGreatest){.score = NAN};
    if (parts.greatest[i] > greatest.score) greatest = (GptGreatest){parts.greatest[i], n * i / PARTS};
  }
  while (greatest.id < n && scores[greatest.id] != greatest.score) greatest.id++;
  return greatest;
}

/* An integer that rises with the score; and back. */
static uint32_t sort_key(float score) {
  uint32_t bits;
  memcpy(&bits, &score, sizeof bits);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float key_score(uint32_t key) {
  uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
  float score;
  memcpy(&score, &bits, sizeof score);
  return score;
}

/* Some bits of a key: those from shift on; the ones above them have to be prefix. */
typedef struct Digit {
  int shift, bits;
  uint64_t prefix;
} Digit;

static void fill_buckets(const float *scores, const float *weights, int64_t n, Digit digit, double *bucket) {
  memset(bucket, 0, BUCKETS * sizeof *bucket);
  for (int64_t i = 0; i < n; i++) {
    uint64_t key = sort_key(scores[i]);
    if (key >> (digit.shift + digit.bits) != digit.prefix) continue;
    bucket[(key >> digit.shift) & ((1u << digit.bits) - 1)] += weights != NULL ? (double)weights[i] : 1;
  }
}

/* From the top down, the bucket where `above` and what is passed reach `wanted`; above grows by the buckets before it.
 */
static uint64_t find_bucket(const double *bucket, int bits, double wanted, double *above) {
  int lowest = 0;
  while (lowest < (1 << bits) - 1 && bucket[lowest] == 0) lowest++;
  int b = (1 << bits) - 1;
  for (; b > lowest && *above + bucket[b] < wanted; b--) *above += bucket[b];
  return (uint64_t)b;
}

/* Digit by digit, as a radix sort goes, but into one bucket only. */
float gpt_rank_score(const float *scores, const float *weights, int64_t n, double wanted, double *above) {
  static const int bits[] = {11, 11, 10};
  double bucket[BUCKETS];
  Digit digit = {.shift = 32};
  *above = 0;
  for (int level = 0; level < 3; level++) {
    digit.bits = bits[level];
    digit.shift -= digit.bits;
    fill_buckets(scores, weights, n, digit, bucket);
    digit.prefix = digit.prefix << digit.bits | find_bucket(bucket, digit.bits, wanted, above);
  }
  return key_score((uint32_t)digit.prefix);
}

/* The k-th greatest of the maxima of disjoint groups: k groups have a score that reaches it. */
float gpt_rank_bound(const float *scores, int64_t n, int64_t k, float *room) {
  double above;
  int64_t groups = n / LANES;
  if (k > groups / 2) return -INFINITY;
  memcpy(room, scores, (size_t)groups * sizeof *room);
  for (int64_t first = groups; first + groups <= n; first += groups)
    for (int64_t g = 0; g < groups; g++) room[g] = scores[first + g] > room[g] ? scores[first + g] : room[g];
  return gpt_rank_score(room, NULL, groups, (double)k, &above);
}
