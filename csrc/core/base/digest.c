#include "core/base/digest.h"

#include <string.h>

#define LANES 4 /* independent ones, so that a processor multiplies several at once */
#define PRIME UINT64_C(0x9e3779b97f4a7c55)

static uint64_t mixed(uint64_t sum, uint64_t word) {
  sum = (sum ^ word) * PRIME;
  return sum ^ sum >> 29;
}

uint64_t gpt_digest(const void *data, size_t bytes) {
  uint64_t sums[LANES] = {1, 2, 3, 4}, words[LANES], digest = bytes;
  const char *at = data;
  size_t left = bytes;
  for (; left >= sizeof words; left -= sizeof words, at += sizeof words) {
    memcpy(words, at, sizeof words);
    for (int i = 0; i < LANES; i++) sums[i] = mixed(sums[i], words[i]);
  }
  memset(words, 0, sizeof words);
  if (left > 0) memcpy(words, at, left);
  for (int i = 0; i < LANES; i++) digest = mixed(digest, mixed(sums[i], words[i]));
  return digest;
}
