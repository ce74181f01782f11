/*
 * The environment: everything that one Lua state (or any other owner) has of the core.
 *
 * It is the first argument of every core function that can fail. Such a function returns NULL or false
 * and leaves a message here; the core never raises, prints, exits or aborts.
 * An environment must outlive what was made in it, and is used by one thread at a time.
 */
#ifndef GPT_ENV_H
#define GPT_ENV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/random.h"

#define GPT_ERROR_SIZE 2000 /* no message is longer, its path included */
#define GPT_PATH_SIZE 400

#if defined(__GNUC__)
#define GPT_PRINTF(string, first) __attribute__((format(printf, string, first)))
#else
#define GPT_PRINTF(string, first)
#endif

struct GptPass;
struct GptBlock;
struct GptFileFaults;

#define GPT_SIZE_CLASSES 480

/* Requests for memory that specs let fail. */
typedef struct GptMemoryFaults {
  int64_t requests; /* so far */
  int64_t at;       /* the one that fails, from 1; 0: none */
  bool stays;       /* and all behind it */
} GptMemoryFaults;

/* Byte counters; see memory.h. */
typedef struct GptMemory {
  size_t live;            /* what something still holds */
  size_t peak;            /* the most that was ever live */
  size_t cached;          /* freed blocks kept for reuse */
  size_t mapped;          /* files mapped into memory */
  size_t limit;           /* live bytes may not grow past this; 0: no limit */
  uint64_t system_calls;  /* how often the system was asked for memory */
  size_t stepped;         /* live bytes after the last step of the host's collector, or at their lowest since, */
  size_t settled;         /* and the same of its last full collection */
  GptMemoryFaults faults;
  struct GptBlock *cache[GPT_SIZE_CLASSES];
} GptMemory;

typedef struct GptEnv {
  char error[GPT_ERROR_SIZE]; /* the last message; empty: none */
  char path[GPT_PATH_SIZE];   /* the layer it happened in: "blocks.3.attention" */
  bool host_error;            /* the host holds the error itself (a Lua value) */
  bool passing;               /* the error is one of the moment, memory or an interrupt, and says nothing of what failed */
  bool recording;             /* ops on tensors that want gradients record themselves */
  bool undrawn;               /* new layers' weights hold anything: whoever makes them sets them all before use */
  bool bf16_products;         /* products of many rows may round what they multiply to bf16; sums stay f32 */
  GptRandom random;
  GptMemory memory;
  struct GptSlab *slabs;        /* blocks of one size, side by side (slab.h) */
  uint64_t sequence;            /* numbers the recorded nodes */
  uint64_t changes;             /* of parts and parameters of layers, counted: the latest stamps a tree */
  uint64_t walks;               /* over trees of layers, counted: each has a number */
  uint64_t passes;              /* likewise */
  struct GptLayer *doomed;      /* layers to be freed, in a line */
  bool freeing;                 /* somebody works on that line */
  int depth;                    /* layers running inside each other */
  atomic_uintptr_t inside;      /* stands for the thread in a long operation (gpt_env_enter); 0: none is */
  bool collecting;              /* on_pressure runs, in the middle of an op */
  struct GptPass *pass; /* the pass that is running a host's layer now, or NULL */
  struct GptFileFaults *file_faults; /* calls on files that specs let fail; NULL but there */
  void *host;                   /* the host's: the running lua_State */
  void (*on_pressure)(void *host); /* asked to drop garbage before an allocation fails; may be NULL */
} GptEnv;

/* A new environment, recording, seeded with 0; NULL without memory. */
GptEnv *gpt_env_new(void);

/* Frees the environment and its cached blocks. Nothing made in it may be used afterwards. */
void gpt_env_free(GptEnv *env);

/*
 * The beginning and the end of a pass, a backward or a step of an optimizer, which may be within each other: a host that
 * lets two threads use one environment at once can be told so by the second (gpt_env_elsewhere) while the first is in one.
 * gpt_env_leave is given what gpt_env_enter returned.
 */
uintptr_t gpt_env_enter(GptEnv *env);
void gpt_env_leave(GptEnv *env, uintptr_t before);

/* Is another thread in such an operation? */
bool gpt_env_elsewhere(GptEnv *env);

/* Leaves a message; returns false, so that `return gpt_fail(env, ...)` reads well. */
bool gpt_fail(GptEnv *env, const char *format, ...) GPT_PRINTF(2, 3);

/* The same for functions that return a pointer. */
void *gpt_fail_null(GptEnv *env, const char *format, ...) GPT_PRINTF(2, 3);

/* Makes what is no text in a message of at most GPT_ERROR_SIZE bytes visible, as gpt_fail does: bytes out of files that are
   not UTF-8, and control characters, which a terminal would obey, become \xNN. Line ends and tabs stay. */
void gpt_make_plain(char *message);

/* On the way out: says where it happened ("merges.txt", "line 7"), before the message that is there; returns false. */
bool gpt_fail_at(GptEnv *env, const char *format, ...) GPT_PRINTF(2, 3);

/* On the way out of a failed layer: names the part that failed. Inner names come first, so that
   "query", then "attention", then "blocks.3" gives the path "blocks.3.attention.query". */
void gpt_fail_inside(GptEnv *env, const char *name);

/* Writes the whole message, path first, into text (GPT_ERROR_SIZE bytes) and clears the error. */
void gpt_take_error(GptEnv *env, char *text);

#endif
