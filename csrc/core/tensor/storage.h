/*
 * Storage: memory that tensors are views of, with the dtype of what lies there.
 *
 * Counts of references are not atomic: a storage belongs to one environment. Where the memory comes from is its own
 * matter: gpt_alloc, or something that `release` gives back, such as a mapped file.
 */
#ifndef GPT_STORAGE_H
#define GPT_STORAGE_H

#include "core/base/env.h"
#include "core/kernels/dtype.h"

typedef struct GptStorage {
  int64_t refs;
  GptEnv *env;
  GptDtype dtype;
  size_t bytes;
  void *data;
  uint64_t version;                            /* counts writes, so that a backward sees a changed input */
  void (*release)(struct GptStorage *storage); /* gives data back; NULL: it came from gpt_alloc */
  void *owner;                                 /* release's own, a mapped file for instance */
  struct GptKeptPanels *panels;  /* of the weight here, made ahead (linalg/kept.h); or NULL */
  uint64_t panels_version;       /* of which they are: after a write they count no more */
  struct GptStorage *panels_home; /* where they lie, perhaps with those of other weights: holds a reference */
} GptStorage;

/* Fresh memory, uninitialised or zeroed. */
GptStorage *gpt_storage_new(GptEnv *env, GptDtype dtype, size_t bytes, bool zeroed);

/* Storage over memory that something else owns: release(storage) is called once, with the last reference. On failure
   NULL, and release is not called. */
GptStorage *gpt_storage_wrap(GptEnv *env, GptDtype dtype, void *data, size_t bytes, void (*release)(GptStorage *),
                             void *owner);

void gpt_storage_release(GptStorage *storage); /* NULL is fine */

/* May be written into without anybody else seeing it? */
bool gpt_storage_exclusive(const GptStorage *storage);

#endif
