#include "core/random.h"

#include <string.h>

void gpt_random_seed(GptRandom *random, uint64_t seed) {
  memset(random, 0, sizeof *random);
  random->seed = seed;
  random->state[0] = (uint32_t)seed;
  for (uint32_t i = 1; i < GPT_MT_STATE; i++) {
    uint32_t before = random->state[i - 1];
    random->state[i] = 1812433253u * (before ^ (before >> 30)) + i;
  }
  random->next = GPT_MT_STATE;
}
