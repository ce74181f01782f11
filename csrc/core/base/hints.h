/* What to say of a name that is not there: ours for one of PyTorch's and other libraries, the nearest, or what to do. */
#ifndef GPT_HINTS_H
#define GPT_HINTS_H

#include <stddef.h>

#define GPT_HINT_SIZE 200

/* Ours, of names, for a name that other libraries have for the same; or NULL. */
const char *gpt_other_name(const char *word, const char *const names[], size_t count);

/* The end of a message about a word that is none of names: "; did you mean 'lr'?", "; all is computed on the CPU: leave
   it out", or nothing. out: GPT_HINT_SIZE bytes; returned. */
const char *gpt_hint(const char *word, const char *const names[], size_t count, char *out);

#endif
