/* Exchanges under way, and the thread that keeps them going. */
#ifndef GPT_MPI_PUMP_H
#define GPT_MPI_PUMP_H

#include <mpi.h>
#include <stdbool.h>

typedef struct PumpExchange {
  struct PumpExchange *next; /* of those under way */
  bool finished;
  int status; /* of a finished one */
  int count;
  MPI_Request requests[]; /* [count] */
} PumpExchange;

/* One lock for all calls of MPI. */
void pump_lock(void);
void pump_unlock(void);

/* Puts an exchange that was begun among those under way. Under the lock. */
void pump_add(PumpExchange *exchange);

/* Waits until it is finished; returns MPI's status. Not under the lock. */
int pump_finish(PumpExchange *exchange);

/* From now on a thread keeps exchanges going, where MPI allows calls of several threads; else only those who wait do. */
void pump_start(bool threads);
void pump_stop(void);

#endif
