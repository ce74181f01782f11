/* "Did you mean": the name nearest to a mistyped one. */
#ifndef GPT_SUGGEST_H
#define GPT_SUGGEST_H

#include <stddef.h>

/* The nearest of names by edit distance (a swap of neighbours counts once), or else one that begins with the word; NULL
   where none is near. */
const char *gpt_suggest(const char *word, const char *const names[], size_t count);

/* The same for a word that may well be meant as it stands: one letter in four may be wrong, and names that differ in
   their digits alone ("norm1", "norm2") are not taken for each other. */
const char *gpt_suggest_typo(const char *word, const char *const names[], size_t count);

#endif
