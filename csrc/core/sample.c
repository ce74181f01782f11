#include "core/sample.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/memory.h"

#define LANES 16
#define BUCKETS 2048

struct GptSampler {
  GptEnv *env;
  GptSampling options;
  int64_t vocab;   /* room in the buffers below */
  int64_t *ids;    /* the ids still in the running, rising: [count] */
  float *scores;   /* their logits less the greatest, over the temperature: [count] */
  float *weights;  /* e to the power of scores: [count] */
  uint8_t *marked; /* by id: penalised in this draw; all zero between draws */
  int64_t count;
  int64_t *seen;
  int64_t n_seen, seen_room;
};

const GptSampling gpt_sampling_greedy = {.top_p = 1, .repetition_penalty = 1};

GptSampler *gpt_sampler_new(GptEnv *env, const GptSampling *options) {
  GptSampler *sampler = gpt_alloc_zeroed(env, sizeof *sampler);
  if (sampler == NULL) return NULL;
  sampler->env = env;
  sampler->options = *options;
  return sampler;
}

static void free_buffers(GptSampler *sampler) {
  gpt_free(sampler->env, sampler->ids);
  gpt_free(sampler->env, sampler->scores);
  gpt_free(sampler->env, sampler->weights);
  gpt_free(sampler->env, sampler->marked);
  sampler->ids = NULL;
  sampler->scores = sampler->weights = NULL;
  sampler->marked = NULL;
  sampler->vocab = 0;
}

void gpt_sampler_free(GptSampler *sampler) {
  if (sampler == NULL) return;
  free_buffers(sampler);
  gpt_free(sampler->env, sampler->seen);
  gpt_free(sampler->env, sampler);
}

bool gpt_sampler_see(GptSampler *sampler, const int64_t *ids, int64_t n) {
  if (sampler->options.repetition_penalty == 1 || n == 0) return true; /* nobody will ask */
  if (sampler->n_seen + n > sampler->seen_room) {
    int64_t room = 2 * (sampler->n_seen + n);
    int64_t *seen = gpt_realloc(sampler->env, sampler->seen, (size_t)room * sizeof *seen);
    if (seen == NULL) return false;
    sampler->seen = seen;
    sampler->seen_room = room;
  }
  memcpy(sampler->seen + sampler->n_seen, ids, (size_t)n * sizeof *ids);
  sampler->n_seen += n;
  return true;
}

void gpt_sampler_forget(GptSampler *sampler) { sampler->n_seen = 0; }

static bool make_buffers(GptSampler *sampler, int64_t vocab) {
  if (vocab <= sampler->vocab) return true;
  free_buffers(sampler);
  size_t n = (size_t)vocab;
  bool made = (sampler->ids = gpt_alloc(sampler->env, n * sizeof *sampler->ids)) != NULL &&
              (sampler->scores = gpt_alloc(sampler->env, n * sizeof *sampler->scores)) != NULL &&
              (sampler->weights = gpt_alloc(sampler->env, n * sizeof *sampler->weights)) != NULL &&
              (sampler->marked = gpt_alloc_zeroed(sampler->env, n)) != NULL;
  if (made) sampler->vocab = vocab;
  else free_buffers(sampler);
  return made;
}

/* Names the first nan or inf. */
static bool refuse_logits(GptEnv *env, const float *logits, int64_t vocab) {
  int64_t first = -1, others = -1;
  for (int64_t i = 0; i < vocab; i++) {
    if (logits[i] < INFINITY) continue;
    if (first < 0) first = i;
    others++;
  }
  const char *what = isnan(logits[first]) ? "nan" : "inf";
  if (others == 0)
    return gpt_fail(env, "logits are not numbers: id %lld has %s; look for nan and inf in the weights",
                    (long long)first, what);
  return gpt_fail(env,
                  "logits are not numbers: id %lld has %s, and %lld more of %lld ids have nan or inf; "
                  "look for them in the weights",
                  (long long)first, what, (long long)others, (long long)vocab);
}

/* The greatest of the scores (-inf: none is greater), in lanes that the compiler turns into vectors. */
static float greatest(const float *scores, int64_t n) {
  float lane[LANES], best = -INFINITY;
  for (int j = 0; j < LANES; j++) lane[j] = -INFINITY;
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) lane[j] = scores[i + j] > lane[j] ? scores[i + j] : lane[j];
  for (; i < n; i++) best = scores[i] > best ? scores[i] : best;
  for (int j = 0; j < LANES; j++) best = lane[j] > best ? lane[j] : best;
  return best;
}

static bool check_seen(GptSampler *sampler, int64_t vocab) {
  for (int64_t i = 0; i < sampler->n_seen; i++) {
    int64_t id = sampler->seen[i];
    if (id >= 0 && id < vocab) continue;
    return gpt_fail(sampler->env,
                    "repetition_penalty: position %lld has id %lld, which is not in the vocabulary of %lld (0 to %lld)",
                    (long long)(i + 1), (long long)id, (long long)vocab, (long long)(vocab - 1));
  }
  return true;
}

static bool check_logits(GptSampler *sampler, const float *logits, int64_t vocab) {
  if (vocab == 0) return gpt_fail(sampler->env, "logits over an empty vocabulary: there is no id to draw");
  int bad = 0;
  for (int64_t i = 0; i < vocab; i++) bad |= !(logits[i] < INFINITY);
  if (bad) return refuse_logits(sampler->env, logits, vocab);
  if (greatest(logits, vocab) == -INFINITY)
    return gpt_fail(sampler->env, "logits are all -inf: there is no id to draw");
  return check_seen(sampler, vocab);
}
static float penalised(float logit, double penalty) {
  if (logit == -INFINITY) return logit;
  double x = logit > 0 ? logit / penalty : logit * penalty;
  return (float)fmax(-FLT_MAX, fmin(x, FLT_MAX));
}

/* Copies the logits into scores, those of ids seen penalised. */
static void penalise(GptSampler *sampler, const float *logits, int64_t vocab) {
  memcpy(sampler->scores, logits, (size_t)vocab * sizeof *logits);
  for (int64_t i = 0; i < sampler->n_seen; i++) {
    int64_t id = sampler->seen[i];
    if (sampler->marked[id]) continue;
    sampler->marked[id] = 1;
    sampler->scores[id] = penalised(logits[id], sampler->options.repetition_penalty);
  }
  for (int64_t i = 0; i < sampler->n_seen; i++) sampler->marked[sampler->seen[i]] = 0;
}

/* Less the greatest, over the temperature: at most 0. Adding 0 turns -0 into 0, which sort_key tells apart. */
static void cool(GptSampler *sampler, int64_t vocab) {
  float best = greatest(sampler->scores, vocab);
  double temperature = sampler->options.temperature;
  for (int64_t i = 0; i < vocab; i++) {
    sampler->scores[i] = (float)(((double)sampler->scores[i] - best) / temperature) + 0.0f;
    sampler->ids[i] = i;
  }
  sampler->count = vocab;
}

/* An integer that rises with the score. */
static uint32_t sort_key(float score) {
  uint32_t bits;
  memcpy(&bits, &score, sizeof bits);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Sums weights (NULL: 1 each) by the bits of the key at shift, over the scores whose higher bits are prefix. */
static void fill_buckets(const GptSampler *sampler, const float *weights, int shift, int bits, uint64_t prefix,
                         double *bucket) {
  memset(bucket, 0, BUCKETS * sizeof *bucket);
  for (int64_t i = 0; i < sampler->count; i++) {
    uint64_t key = sort_key(sampler->scores[i]);
    if (key >> (shift + bits) != prefix) continue;
    bucket[(key >> shift) & ((1u << bits) - 1)] += weights != NULL ? (double)weights[i] : 1;
  }
}

/* From the top down, the bucket where `above` plus what is passed reaches `wanted`; above grows by the buckets before
   it. Sums that fall short by their rounding end in the lowest bucket that holds something. */
static uint64_t find_bucket(const double *bucket, int bits, double wanted, double *above) {
  int lowest = 0;
  while (lowest < (1 << bits) - 1 && bucket[lowest] == 0) lowest++;
  int b = (1 << bits) - 1;
  for (; b > lowest && *above + bucket[b] < wanted; b--) *above += bucket[b];
  return (uint64_t)b;
}

/* The score at which the weights, summed from the greatest score down, reach `wanted`, as a key; *above is their sum
   over greater scores. A selection by digits, not a sort: three passes. */
static uint32_t select_key(const GptSampler *sampler, const float *weights, double wanted, double *above) {
  static const int digits[] = {11, 11, 10};
  double bucket[BUCKETS];
  uint64_t prefix = 0;
  int shift = 32;
  *above = 0;
  for (int level = 0; level < 3; level++) {
    shift -= digits[level];
    fill_buckets(sampler, weights, shift, digits[level], prefix, bucket);
    prefix = prefix << digits[level] | find_bucket(bucket, digits[level], wanted, above);
  }
  return (uint32_t)prefix;
}

static void keep(GptSampler *sampler, int64_t to, int64_t from) {
  sampler->ids[to] = sampler->ids[from];
  sampler->scores[to] = sampler->scores[from];
  sampler->weights[to] = sampler->weights[from];
}

static void keep_top_k(GptSampler *sampler) {
  int64_t k = sampler->options.top_k, count = 0;
  if (k == 0 || k >= sampler->count) return;
  double above;
  uint32_t least = select_key(sampler, NULL, (double)k, &above);
  for (int64_t i = 0; i < sampler->count; i++) {
    if (sort_key(sampler->scores[i]) < least) continue;
    sampler->ids[count] = sampler->ids[i];
    sampler->scores[count++] = sampler->scores[i];
  }
  sampler->count = count;
}

/* In a fixed order, so that a total and a walk to it agree. */
static double total_weight(const GptSampler *sampler) {
  double total = 0;
  for (int64_t i = 0; i < sampler->count; i++) total += (double)sampler->weights[i];
  return total;
}

static void keep_top_p(GptSampler *sampler) {
  if (sampler->options.top_p >= 1) return;
  double above, wanted = sampler->options.top_p * total_weight(sampler);
  uint32_t least = select_key(sampler, sampler->weights, wanted, &above);
  int64_t count = 0;
  for (int64_t i = 0; i < sampler->count; i++) {
    uint32_t key = sort_key(sampler->scores[i]);
    bool equal = key == least && above < wanted;
    if (equal) above += (double)sampler->weights[i];
    if (equal || key > least) keep(sampler, count++, i);
  }
  sampler->count = count;
}

/* The most likely id has the score 0. */
static void keep_min_p(GptSampler *sampler) {
  if (sampler->options.min_p == 0) return;
  float least = (float)log(sampler->options.min_p);
  int64_t count = 0;
  for (int64_t i = 0; i < sampler->count; i++)
    if (sampler->scores[i] >= least) keep(sampler, count++, i);
  sampler->count = count;
}

/* Leaves the ids that may be drawn, with weights in the proportions of their probabilities. */
static void make_weights(GptSampler *sampler, const float *logits, int64_t vocab) {
  penalise(sampler, logits, vocab);
  cool(sampler, vocab);
  keep_top_k(sampler);
  gpt_kernels()->exp(sampler->weights, sampler->scores, sampler->count);
  keep_top_p(sampler);
  keep_min_p(sampler);
}

/* The id in whose stretch of the summed weights a random point falls. */
static int64_t draw(GptSampler *sampler, GptRandom *random) {
  double point = gpt_random_double(random) * total_weight(sampler), passed = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < sampler->count; i++) {
    if (sampler->weights[i] == 0) continue;
    passed += (double)sampler->weights[i];
    last = i;
    if (passed > point) break;
  }
  return sampler->ids[last];
}

static int64_t first_greatest(const float *scores, int64_t n) {
  float best = greatest(scores, n);
  int64_t i = 0;
  while (scores[i] != best) i++;
  return i;
}

static int64_t greedy(GptSampler *sampler, const float *logits, int64_t vocab) {
  if (sampler->n_seen == 0) return first_greatest(logits, vocab);
  penalise(sampler, logits, vocab);
  return first_greatest(sampler->scores, vocab);
}

bool gpt_sampler_draw(GptSampler *sampler, GptRandom *random, const float *logits, int64_t vocab, int64_t *id,
                      double *log_probability) {
  if (!check_logits(sampler, logits, vocab) || !make_buffers(sampler, vocab)) return false;
  if (sampler->options.temperature == 0) {
    *id = greedy(sampler, logits, vocab);
  } else {
    make_weights(sampler, logits, vocab);
    *id = draw(sampler, random);
  }
  if (log_probability != NULL)
    *log_probability = fmin(0, (double)logits[*id] - gpt_kernels()->log_sum_exp(logits, vocab));
  return true;
}

bool gpt_sampler_distribution(GptSampler *sampler, const float *logits, int64_t vocab, float *probabilities) {
  if (!check_logits(sampler, logits, vocab) || !make_buffers(sampler, vocab)) return false;
  int64_t sure = 0;
  if (sampler->options.temperature == 0) sure = greedy(sampler, logits, vocab);
  else make_weights(sampler, logits, vocab);
  memset(probabilities, 0, (size_t)vocab * sizeof *probabilities);
  if (sampler->options.temperature == 0) {
    probabilities[sure] = 1;
    return true;
  }
  double total = total_weight(sampler);
  for (int64_t i = 0; i < sampler->count; i++)
    probabilities[sampler->ids[i]] = (float)((double)sampler->weights[i] / total);
  return true;
}
