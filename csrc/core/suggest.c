#include "core/suggest.h"

#include <stdbool.h>
#include <string.h>

#define LONGEST 40

static int least(int a, int b, int c) {
  int m = a < b ? a : b;
  return m < c ? m : c;
}

/* Optimal string alignment distance of two words of at most LONGEST bytes. */
static int distance(const char *a, size_t n, const char *b, size_t m) {
  int row[LONGEST + 1][LONGEST + 1];
  for (size_t i = 0; i <= n; i++) row[i][0] = (int)i;
  for (size_t j = 0; j <= m; j++) row[0][j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    for (size_t j = 1; j <= m; j++) {
      int change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[i][j] = least(row[i - 1][j] + 1, row[i][j - 1] + 1, row[i - 1][j - 1] + change);
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped && row[i - 2][j - 2] + 1 < row[i][j]) row[i][j] = row[i - 2][j - 2] + 1;
    }
  }
  return row[n][m];
}

const char *gpt_suggest(const char *word, const char *const names[], size_t count) {
  const char *best = NULL;
  size_t length = strlen(word);
  int nearest = (int)length / 3 + 2; /* a third of the word may be wrong */
  if (length > LONGEST) return NULL;
  for (size_t i = 0; i < count; i++) {
    size_t other = strlen(names[i]);
    if (other > LONGEST) continue;
    int d = distance(word, length, names[i], other);
    if (d < nearest && d < (int)other) nearest = d, best = names[i];
  }
  return best;
}
