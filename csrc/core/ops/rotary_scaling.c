/* The frequencies of rotary embedding and their scalings. */
#include <math.h>

#include "core/ops/rotary.h"

#define PI 3.14159265358979323846

static double llama3(const GptRotaryScaling *s, double frequency) {
  double turns = s->original * frequency / (2 * PI); /* within the context of training */
  if (turns < s->low) return frequency / s->factor;
  if (turns > s->high) return frequency;
  double share = (turns - s->low) / (s->high - s->low);
  return (1 - share) * frequency / s->factor + share * frequency;
}

/* Which of dims turns that often within the context of training, as a fraction. */
static double yarn_dim(const GptRotaryScaling *s, double turns, double dims, double base) {
  return dims * log(s->original / (turns * 2 * PI)) / (2 * log(base));
}

static double within(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double yarn(const GptRotaryScaling *s, double frequency, int64_t pair, double dims, double base) {
  double first = yarn_dim(s, s->beta_fast, dims, base), last = yarn_dim(s, s->beta_slow, dims, base);
  if (!s->exact_range) first = floor(first), last = ceil(last);
  first = fmax(first, 0);
  last = fmin(last, dims - 1);
  if (first == last) last += 0.001;
  double scaled = within(((double)pair - first) / (last - first), 0, 1);
  return frequency / s->factor * scaled + frequency * (1 - scaled);
}

static double yarn_scale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1; }

static double yarn_magnitude(const GptRotaryScaling *s) {
  if (s->attention_factor > 0) return s->attention_factor;
  if (s->mscale > 0 && s->mscale_all_dim > 0)
    return yarn_scale(s->factor, s->mscale) / yarn_scale(s->factor, s->mscale_all_dim);
  return yarn_scale(s->factor, 1);
}

static double scaled_frequency(const GptRotaryScaling *s, double frequency, int64_t pair, double dims, double base) {
  switch (s->kind) {
    case GPT_ROTARY_PLAIN: break;
    case GPT_ROTARY_LINEAR: return frequency / s->factor;
    case GPT_ROTARY_LLAMA3: return llama3(s, frequency);
    case GPT_ROTARY_YARN: return yarn(s, frequency, pair, dims, base);
    case GPT_ROTARY_FACTORS: return frequency / s->factors[pair];
  }
  return frequency;
}

void gpt_rotary_init(GptRotary *rotary, int64_t dims, double base, bool interleaved, const GptRotaryScaling *scaling) {
  *rotary = (GptRotary){.dims = dims, .interleaved = interleaved, .magnitude = 1};
  if (scaling->kind == GPT_ROTARY_YARN) rotary->magnitude = yarn_magnitude(scaling);
  for (int64_t pair = 0; pair < dims / 2; pair++)
    rotary->frequencies[pair] =
        scaled_frequency(scaling, pow(base, -2 * (double)pair / (double)dims), pair, (double)dims, base);
}
