#include "core/generate/sample.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/generate/ranking.h"

struct GptSampler {
  GptEnv *env;
  GptSampling options;
  int64_t vocab;   /* room in the buffers below */
  int64_t *ids;    /* the ids still in the running, rising: [count] */
  float *scores;   /* their logits less the greatest, over the temperature: [count] */
  float *weights;  /* e to the power of scores: [count] */
  int64_t count;
  int64_t *seen;
  int64_t n_seen;
  size_t seen_room;
};

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
  sampler->ids = NULL;
  sampler->scores = sampler->weights = NULL;
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
  if (!GPT_GROW(sampler->env, sampler->seen, sampler->seen_room, sampler->n_seen, n)) return false;
  memcpy(sampler->seen + sampler->n_seen, ids, (size_t)n * sizeof *ids);
  sampler->n_seen += n;
  return true;
}

void gpt_sampler_forget(GptSampler *sampler) { sampler->n_seen = 0; }

static bool make_buffers(GptSampler *sampler, int64_t vocab) {
  if (vocab <= sampler->vocab || (sampler->options.temperature == 0 && sampler->n_seen == 0)) return true;
  free_buffers(sampler);
  size_t n = (size_t)vocab;
  bool made = (sampler->ids = gpt_alloc_array(sampler->env, n, sizeof *sampler->ids)) != NULL &&
              (sampler->scores = gpt_alloc_array(sampler->env, n, sizeof *sampler->scores)) != NULL &&
              (sampler->weights = gpt_alloc_array(sampler->env, n, sizeof *sampler->weights)) != NULL;
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

static bool check_logits(GptSampler *sampler, const float *logits, int64_t vocab, GptGreatest *greatest) {
  if (vocab == 0) return gpt_fail(sampler->env, "logits over an empty vocabulary: there is no id to draw");
  *greatest = gpt_rank_greatest(logits, vocab);
  if (isnan(greatest->score)) return refuse_logits(sampler->env, logits, vocab);
  if (greatest->score == -INFINITY)
    return gpt_fail(sampler->env, "logits are all -inf: there is no id to draw");
  return check_seen(sampler, vocab);
}

static float penalised(float logit, double penalty) {
  if (logit == -INFINITY) return logit;
  double x = logit > 0 ? logit / penalty : logit * penalty;
  return (float)fmax(-FLT_MAX, fmin(x, FLT_MAX));
}

/* Copies the logits into scores, those of ids seen penalised, once each however often they were. */
static void penalise(GptSampler *sampler, const float *logits, int64_t vocab) {
  memcpy(sampler->scores, logits, (size_t)vocab * sizeof *logits);
  for (int64_t i = 0; i < sampler->n_seen; i++) {
    const int64_t id = sampler->seen[i];
    sampler->scores[id] = penalised(logits[id], sampler->options.repetition_penalty);
  }
}

/* Less the greatest, over the temperature: at most 0. Adding 0 turns -0 into 0. */
static void cool(GptSampler *sampler, int64_t vocab) {
  double best = gpt_rank_greatest(sampler->scores, vocab).score;
  double factor = fmin(1 / sampler->options.temperature, 1e300); /* 0 times it stays 0 */
  for (int64_t i = 0; i < vocab; i++) sampler->scores[i] = (float)((sampler->scores[i] - best) * factor) + 0.0f;
  for (int64_t i = 0; i < vocab; i++) sampler->ids[i] = i;
  sampler->count = vocab;
}

/* Keeps the ids with a score of least and more. */
static void keep_from(GptSampler *sampler, float least) {
  int64_t count = 0;
  for (int64_t i = 0; i < sampler->count; i++) {
    float score = sampler->scores[i];
    sampler->ids[count] = sampler->ids[i];
    sampler->scores[count] = score;
    count += score >= least; /* no branch: processors guess this one badly */
  }
  sampler->count = count;
}

static void weigh(GptSampler *sampler) { gpt_kernels()->exp(sampler->weights, sampler->scores, sampler->count); }

/* In lanes that the compiler turns into vectors. */
static double total_weight(const GptSampler *sampler) {
  double lane[8] = {0}, total = 0;
  int64_t i = 0;
  for (; i + 8 <= sampler->count; i += 8)
    for (int j = 0; j < 8; j++) lane[j] += (double)sampler->weights[i + j];
  for (; i < sampler->count; i++) total += (double)sampler->weights[i];
  for (int j = 0; j < 8; j++) total += lane[j];
  return total;
}

static void keep_top_k(GptSampler *sampler) {
  int64_t k = sampler->options.top_k;
  if (k == 0 || k >= sampler->count) return;
  double above;
  keep_from(sampler, gpt_rank_bound(sampler->scores, sampler->count, k, sampler->weights));
  keep_from(sampler, gpt_rank_score(sampler->scores, NULL, sampler->count, (double)k, &above));
}

/* Keeps the ids above the score `least`, whose weights sum to `above`, and of its equals the first ones that reach
   `wanted`. */
static void keep_nucleus(GptSampler *sampler, float least, double above, double wanted) {
  int64_t count = 0;
  for (int64_t i = 0; i < sampler->count; i++) {
    float score = sampler->scores[i];
    bool equal = score == least && above < wanted;
    if (equal) above += (double)sampler->weights[i];
    sampler->ids[count] = sampler->ids[i];
    sampler->scores[count] = score;
    count += equal || score > least;
  }
  sampler->count = count;
}

/* Weights below (1 - p) of the mean sum to less than what may go, so these ids are out without looking closer. */
static void keep_top_p(GptSampler *sampler) {
  double p = sampler->options.top_p, above;
  if (p >= 1) return;
  weigh(sampler);
  double total = total_weight(sampler), wanted = p * total;
  keep_from(sampler, (float)log((1 - p) * total / (double)sampler->count) - 1e-3f);
  weigh(sampler);
  float least = gpt_rank_score(sampler->scores, sampler->weights, sampler->count, wanted, &above);
  keep_nucleus(sampler, least, above, wanted);
}

/* The most likely id has the score 0. */
static void keep_min_p(GptSampler *sampler) {
  if (sampler->options.min_p > 0) keep_from(sampler, (float)log(sampler->options.min_p));
}

/* Leaves the ids that may be drawn, with weights in the proportions of their probabilities. */
static void make_weights(GptSampler *sampler, const float *logits, int64_t vocab) {
  penalise(sampler, logits, vocab);
  cool(sampler, vocab);
  keep_top_k(sampler);
  keep_top_p(sampler);
  keep_min_p(sampler);
  weigh(sampler);
}

/* The id in whose stretch of the summed weights a random point falls. */
static int64_t draw_id(GptSampler *sampler, GptRandom *random) {
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

/* first: the greatest of the logits */
static int64_t greedy(GptSampler *sampler, const float *logits, int64_t vocab, const GptGreatest *first) {
  if (sampler->n_seen == 0) return first->id;
  penalise(sampler, logits, vocab);
  return gpt_rank_greatest(sampler->scores, vocab).id;
}

double gpt_log_probability(const float *logits, int64_t vocab, int64_t id) {
  return fmin(0, (double)logits[id] - (double)gpt_kernels()->log_sum_exp(logits, vocab));
}

bool gpt_sampler_draw(GptSampler *sampler, GptRandom *random, const float *logits, int64_t vocab, int64_t *id,
                      double *log_probability) {
  GptGreatest greatest;
  if (!check_logits(sampler, logits, vocab, &greatest) || !make_buffers(sampler, vocab)) return false;
  if (sampler->options.temperature == 0) {
    *id = greedy(sampler, logits, vocab, &greatest);
  } else {
    make_weights(sampler, logits, vocab);
    *id = draw_id(sampler, random);
  }
  if (log_probability != NULL) *log_probability = gpt_log_probability(logits, vocab, *id);
  return true;
}

bool gpt_sampler_distribution(GptSampler *sampler, const float *logits, int64_t vocab, float *probabilities) {
  GptGreatest greatest;
  if (!check_logits(sampler, logits, vocab, &greatest) || !make_buffers(sampler, vocab)) return false;
  int64_t sure = 0;
  if (sampler->options.temperature == 0) sure = greedy(sampler, logits, vocab, &greatest);
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
