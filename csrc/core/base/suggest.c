#include "core/base/suggest.h"

#include <stdbool.h>
#include <string.h>

#define LONGEST 40
#define SHORTEST 4 /* beginning of a name that stands for it */

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

static const char *past_digits(const char *text) { return text + strspn(text, "0123456789"); }

static bool same_but_for_digits(const char *a, const char *b) {
  for (a = past_digits(a), b = past_digits(b); *a == *b; a = past_digits(a + 1), b = past_digits(b + 1))
    if (*a == '\0') return true;
  return false;
}

/* The nearest name that is less than `bound` changes away. */
static const char *nearest(const char *word, const char *const names[], size_t count, int bound, bool numbered) {
  const char *best = NULL;
  size_t length = strlen(word);
  if (length > LONGEST) return NULL;
  for (size_t i = 0; i < count; i++) {
    size_t other = strlen(names[i]);
    if (other > LONGEST || (!numbered && same_but_for_digits(word, names[i]))) continue;
    int d = distance(word, length, names[i], other);
    if (d < bound && d < (int)other) bound = d, best = names[i];
  }
  return best;
}

/* A name that goes on where the word ends ("context" for "context_length"); names from files may be of any length. */
static const char *longer(const char *word, const char *const names[], size_t count) {
  size_t length = strlen(word);
  for (size_t i = 0; i < count && length >= SHORTEST; i++)
    if (strncmp(word, names[i], length) == 0 && strlen(names[i]) <= LONGEST) return names[i];
  return NULL;
}

const char *gpt_suggest(const char *word, const char *const names[], size_t count) {
  int length = (int)strlen(word), wrong = length < 5 ? 1 : length * 2 / 5; /* two letters in five may be wrong */
  const char *near = nearest(word, names, count, wrong + 1, true);
  return near != NULL ? near : longer(word, names, count);
}

const char *gpt_suggest_typo(const char *word, const char *const names[], size_t count) {
  return nearest(word, names, count, (int)strlen(word) / 4 + 1, false);
}
