/* The ways of cutting words that GGUF files name in tokenizer.ggml.pre, as tokenizer.json would describe them. */
#ifndef GPT_GGUF_PRE_H
#define GPT_GGUF_PRE_H

#include "core/base/text.h"
#include "core/tokenizer/pretokenize.h"

typedef struct GptPre {
  const char *names;    /* each between blanks; the first is the one that is written */
  const char *also;     /* the pattern that tokenizer.json has for it, where llama.cpp has another; or NULL */
  const char *split[5]; /* patterns, one after the other: Split, Isolated; none: ByteLevel's own */
  bool digits;          /* numbers are cut off first */
  bool byte_level;      /* at the end GPT-2's pattern cuts */
  bool ignore_merges;
  bool adds_bos;        /* unless the file says otherwise */
} GptPre;

/* The one of that name, of n bytes; NULL where there is none that is implemented. */
const GptPre *gpt_gguf_pre_find(const char *name, size_t n);

/* The one that cuts so (and with those merges), but for the long s in contractions; NULL: none. */
const GptPre *gpt_gguf_pre_of(const GptCuts *cuts, bool ignore_merges);

/* Appends its first name. */
void gpt_gguf_pre_name(const GptPre *pre, GptText *out);

/* Appends pre_tokenizer as tokenizer.json writes it. */
void gpt_gguf_pre_describe(const GptPre *pre, GptText *out);

#endif
