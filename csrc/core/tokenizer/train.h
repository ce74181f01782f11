/*
 * Learning a byte-level BPE tokenizer from text (Sennrich et al. 2016, arXiv:1508.07909): beginning with the 256
 * bytes, the most frequent pair of neighbouring tokens becomes a token, again and again. Words are those of the
 * scanner, and no merge crosses their borders. Of equally frequent pairs the one of the lowest ids goes first, as in
 * Hugging Face's trainer, so the same text gives the same tokenizer.
 */
#ifndef GPT_TOKENIZER_TRAIN_H
#define GPT_TOKENIZER_TRAIN_H

#include "core/tokenizer/tokenizer.h"

#define GPT_LEAST_VOCABULARY 257 /* the bytes, and the end of text */

typedef struct GptTrainer GptTrainer;

GptTrainer *gpt_trainer_new(GptEnv *env);
void gpt_trainer_free(GptTrainer *trainer); /* NULL is fine */

/* Counts the words of n more bytes. The mark <|endoftext|> parts texts and is not learned from. */
bool gpt_trainer_add(GptTrainer *trainer, const char *text, size_t n);

/*
 * The tokenizer: ids 0 to 255 are the bytes in GPT-2's order, then come the merges, the last is <|endoftext|>. It has
 * vocab_size tokens (GPT_LEAST_VOCABULARY or more), or fewer where the text has no more pairs that occur
 * min_frequency times.
 */
GptTokenizer *gpt_trainer_finish(GptTrainer *trainer, int64_t vocab_size, int64_t min_frequency);

#endif
