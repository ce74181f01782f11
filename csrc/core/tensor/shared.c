#include "core/tensor/shared.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cache_line.h"
#include "core/base/memory.h"


/* An environment that holds an entry, by so many storages. */
typedef struct Holder {
  GptEnv *env;
  int64_t count;
  struct Holder *next;
} Holder;

/* Memory, and who holds it. */
typedef struct Entry {
  struct Entry *next; /* in the list of what was offered */
  bool offered;
  GptSharedKey key;
  void *data;
  size_t bytes;
  Holder *holders;
} Entry;

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;
static Entry *offered;

static void lock_shared(void) { pthread_mutex_lock(&shared_lock); }
static void unlock_shared(void) { pthread_mutex_unlock(&shared_lock); }

/* A child of fork must not find the lock held by a thread that it does not have. */
static void prepare_shared(void) { pthread_atfork(lock_shared, unlock_shared, unlock_shared); }

/* Under the lock: env's entry among the holders; NULL where it is none. */
static Holder *holder_of(const Entry *entry, const GptEnv *env) {
  Holder *holder = entry->holders;
  while (holder != NULL && holder->env != env) holder = holder->next;
  return holder;
}

/* Under the lock: may env hold it within its limit? What it holds already is counted. */
static bool fits(const Entry *entry, const GptEnv *env) {
  const GptMemory *memory = &env->memory;
  return holder_of(entry, env) != NULL || memory->limit == 0 || memory->live + entry->bytes <= memory->limit;
}

/* Under the lock: one storage more of env's. False without memory. */
static bool hold(Entry *entry, GptEnv *env) {
  Holder *holder = holder_of(entry, env);
  if (holder == NULL) {
    holder = malloc(sizeof *holder);
    if (holder == NULL) return false;
    *holder = (Holder){env, 0, entry->holders};
    entry->holders = holder;
    gpt_memory_count(env, entry->bytes);
  }
  holder->count++;
  return true;
}

/* Under the lock: takes the entry off the list. */
static void withdraw(Entry *entry) {
  Entry **at = &offered;
  while (*at != NULL && *at != entry) at = &(*at)->next;
  if (*at != NULL) *at = entry->next;
  entry->offered = false;
}

/* Under the lock: one storage less of env's; frees the entry with its last one. */
static void let_go(Entry *entry, GptEnv *env) {
  Holder **at = &entry->holders;
  while ((*at)->env != env) at = &(*at)->next;
  Holder *holder = *at;
  if (--holder->count > 0) return;
  *at = holder->next;
  gpt_memory_discount(env, entry->bytes);
  free(holder);
  if (entry->holders != NULL) return;
  if (entry->offered) withdraw(entry);
  free(entry->data);
  free(entry);
}

static void release_shared(GptStorage *storage) {
  lock_shared();
  let_go(storage->owner, storage->env);
  unlock_shared();
}

/* A storage over an entry, which env must hold already for it. */
static GptStorage *storage_over(GptEnv *env, GptDtype dtype, Entry *entry) {
  GptStorage *storage = gpt_storage_wrap(env, dtype, entry->data, entry->bytes, release_shared, entry);
  if (storage != NULL) return storage;
  lock_shared();
  let_go(entry, env);
  unlock_shared();
  return NULL;
}

static bool is_key(const Entry *entry, const GptSharedKey *key) {
  return memcmp(&entry->key, key, sizeof *key) == 0;
}

GptStorage *gpt_shared_find(GptEnv *env, GptDtype dtype, const GptSharedKey *key) {
  pthread_once(&shared_once, prepare_shared);
  lock_shared();
  Entry *entry = offered;
  while (entry != NULL && !is_key(entry, key)) entry = entry->next;
  bool held = entry != NULL && fits(entry, env) && hold(entry, env);
  unlock_shared();
  return held ? storage_over(env, dtype, entry) : NULL;
}

GptStorage *gpt_shared_new(GptEnv *env, GptDtype dtype, size_t bytes) {
  pthread_once(&shared_once, prepare_shared);
  if (!gpt_memory_fits(env, bytes)) return NULL;
  Entry *entry = calloc(1, sizeof *entry);
  void *data = entry != NULL ? aligned_alloc(GPT_CACHE_LINE, (bytes / GPT_CACHE_LINE + 1) * GPT_CACHE_LINE) : NULL;
  if (data != NULL) *entry = (Entry){.data = data, .bytes = bytes};
  if (data == NULL || !hold(entry, env)) {
    free(data);
    free(entry);
    return gpt_fail_null(env, "not enough memory: the system refused %zu bytes", bytes);
  }
  return storage_over(env, dtype, entry);
}

void gpt_shared_offer(GptStorage *storage, const GptSharedKey *key) {
  Entry *entry = storage->owner;
  lock_shared();
  entry->key = *key;
  entry->next = offered;
  entry->offered = true;
  offered = entry;
  unlock_shared();
}

/* Under the lock: is the storage the only one over its memory? Nobody finds it any more, then. */
static bool take_alone(Entry *entry) {
  bool alone = entry->holders->next == NULL && entry->holders->count == 1;
  if (alone && entry->offered) withdraw(entry);
  return alone;
}

bool gpt_storage_make_private(GptStorage *storage) {
  if (storage->release != release_shared) return true;
  Entry *entry = storage->owner;
  lock_shared();
  bool alone = take_alone(entry);
  unlock_shared();
  if (alone) return true;
  void *data = gpt_alloc(storage->env, storage->bytes);
  if (data == NULL) return false;
  if (storage->release != release_shared) return gpt_free(storage->env, data), true; /* a finalizer has done it */
  memcpy(data, storage->data, storage->bytes);
  storage->data = data;
  storage->release = NULL;
  storage->owner = NULL;
  lock_shared();
  let_go(entry, storage->env);
  unlock_shared();
  return true;
}
