/*
 * gpt/mpi.so: the processes that mpirun started, as a GptTransport over MPI. It is a shared object of its own, so that
 * nothing else of luagpt depends on MPI. `require "gpt.mpi"` begins MPI and returns the table; gpt.world() does that.
 *
 * MPI belongs to the process. A library need not work on its messages while nobody calls it, so while exchanges are
 * under way a thread does (pump.c); all calls stand under one lock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/transport.h"
#include "mpi/pump.h"

#define LARGEST ((size_t)1 << 30) /* bytes of one message: MPI counts in ints */
#define TAG 1

static MPI_Comm all = MPI_COMM_NULL; /* a communicator of our own: messages of the host's cannot meet ours */
static GptTransport transport;

static bool succeeded(int status, char *error) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (status == MPI_SUCCESS) return true;
  MPI_Error_string(status, text, &length);
  if (length >= GPT_TRANSPORT_ERROR) length = GPT_TRANSPORT_ERROR - 1;
  memcpy(error, text, (size_t)length);
  error[length] = '\0';
  return false;
}

static size_t count_messages(const GptPiece *pieces) {
  size_t count = 0;
  for (int r = 0; r < transport.size; r++)
    if (r != transport.rank) count += (pieces[r].bytes + LARGEST - 1) / LARGEST;
  return count;
}

/* Begins the messages of one piece, to or from rank r. */
static int begin_piece(PumpExchange *exchange, const GptPiece *piece, int r, bool out) {
  int status = MPI_SUCCESS;
  for (size_t at = 0; at < piece->bytes && status == MPI_SUCCESS; at += LARGEST) {
    size_t left = piece->bytes - at;
    int bytes = (int)(left < LARGEST ? left : LARGEST);
    MPI_Request *request = &exchange->requests[exchange->count];
    char *data = (char *)piece->data + at;
    status = out ? MPI_Isend(data, bytes, MPI_BYTE, r, TAG, all, request)
                 : MPI_Irecv(data, bytes, MPI_BYTE, r, TAG, all, request);
    if (status == MPI_SUCCESS) exchange->count++;
  }
  return status;
}

/* Each rank begins with its right neighbour, so that not all of them send to the same one first. */
static int begin_pieces(PumpExchange *exchange, const GptPiece *out, const GptPiece *in) {
  int status = MPI_SUCCESS, size = transport.size;
  for (int i = 1; i < size && status == MPI_SUCCESS; i++) {
    int left = (transport.rank + size - i) % size;
    status = begin_piece(exchange, &in[left], left, false);
  }
  for (int i = 1; i < size && status == MPI_SUCCESS; i++) {
    int right = (transport.rank + i) % size;
    status = begin_piece(exchange, &out[right], right, true);
  }
  return status;
}

static void *begin_exchange(const GptPiece *out, const GptPiece *in, char *error) {
  size_t most = count_messages(out) + count_messages(in);
  PumpExchange *exchange = malloc(sizeof *exchange + most * sizeof *exchange->requests);
  if (exchange == NULL) return strcpy(error, "out of memory"), NULL;
  *exchange = (PumpExchange){.count = 0};
  pump_lock();
  int status = begin_pieces(exchange, out, in);
  if (status == MPI_SUCCESS) pump_add(exchange);
  pump_unlock();
  if (succeeded(status, error)) return exchange;
  free(exchange); /* what was begun cannot be taken back: the process is about to end */
  return NULL;
}

static bool finish_exchange(void *begun, char *error) {
  PumpExchange *exchange = begun;
  int status = pump_finish(exchange);
  free(exchange);
  return succeeded(status, error);
}

static bool broadcast_bytes(void *data, size_t bytes, int root, char *error) {
  int status = MPI_SUCCESS;
  pump_lock();
  for (size_t at = 0; at < bytes && status == MPI_SUCCESS; at += LARGEST) {
    size_t left = bytes - at;
    status = MPI_Bcast((char *)data + at, (int)(left < LARGEST ? left : LARGEST), MPI_BYTE, root, all);
  }
  pump_unlock();
  return succeeded(status, error);
}

/* Not under the lock: whoever holds it may wait for a rank that is gone. */
static void abort_all(int status) {
  MPI_Abort(all, status);
  _Exit(status);
}

/* A process that ends well says so, which waits for the others. One that ends with an error leaves without a word:
   mpirun ends the others then. */
static void leave_mpi(int status, void *unused) {
  int finalized = 0;
  (void)unused;
  pump_stop();
  MPI_Finalized(&finalized);
  if (status == 0 && !finalized) MPI_Finalize();
}

/* The exit handler has to be there when the state that loaded it is closed. */
static void stay_loaded(void) {
  Dl_info info;
  if (dladdr(&transport, &info) != 0 && info.dli_fname != NULL)
    dlopen(info.dli_fname, RTLD_LAZY | RTLD_NODELETE | RTLD_NOLOAD);
}

/* Begins MPI, unless the host has. */
static bool begin_mpi(char *error) {
  int begun = 0, level = 0;
  bool done = succeeded(MPI_Initialized(&begun), error);
  if (done && !begun) {
    done = succeeded(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level), error);
    if (done) on_exit(leave_mpi, NULL);
  } else if (done) {
    MPI_Query_thread(&level);
  }
  if (!done || !succeeded(MPI_Comm_dup(MPI_COMM_WORLD, &all), error)) return false;
  MPI_Comm_set_errhandler(all, MPI_ERRORS_RETURN);
  pump_start(level >= MPI_THREAD_SERIALIZED);
  return true;
}

static bool open_transport(char *error) {
  if (transport.version != 0) return true;
  stay_loaded();
  if (!begin_mpi(error)) return false;
  transport = (GptTransport){.begin_exchange = begin_exchange,
                             .finish_exchange = finish_exchange,
                             .broadcast = broadcast_bytes,
                             .abort = abort_all};
  MPI_Comm_rank(all, &transport.rank);
  MPI_Comm_size(all, &transport.size);
  transport.version = GPT_TRANSPORT_VERSION;
  return true;
}

__attribute__((visibility("default"))) int luaopen_gpt_mpi(lua_State *L);

int luaopen_gpt_mpi(lua_State *L) {
  char error[GPT_TRANSPORT_ERROR] = "";
  GptTransport **box = lua_newuserdatauv(L, sizeof *box, 0);
  luaL_newmetatable(L, GPT_TRANSPORT_TYPE);
  lua_setmetatable(L, -2);
  if (!open_transport(error)) return luaL_error(L, "MPI: %s", error);
  *box = &transport;
  return 1;
}
