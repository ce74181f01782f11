/* "Did you mean": the name nearest to a mistyped one. */
#ifndef GPT_SUGGEST_H
#define GPT_SUGGEST_H

#include <stddef.h>

/* The nearest of names by edit distance (a swap of neighbours counts once), or NULL where none is near. */
const char *gpt_suggest(const char *word, const char *const names[], size_t count);

#endif
