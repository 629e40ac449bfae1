#include "c_api/ranks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kRanksMax = 16 };

void expect(int holds, const char* what, const char* file, int line) {
  if (holds) return;
  fprintf(stderr, "%s:%d: expected %s\n", file, line, what);
  exit(1);
}

void expect_ok(tutti_status* status, const char* file, int line) {
  if (status == NULL) return;
  fprintf(stderr, "%s:%d: expected success, got %s: %s\n", file, line,
          tutti_code_name(tutti_status_code(status)), tutti_status_message(status));
  exit(1);
}

void expect_error(tutti_status* status, tutti_code code, const char* text, const char* file,
                  int line) {
  const char* message = tutti_status_message(status);
  if (tutti_status_code(status) != code || strstr(message, text) == NULL) {
    fprintf(stderr, "%s:%d: expected %s with '%s', got %s: %s\n", file, line, tutti_code_name(code),
            text, tutti_code_name(tutti_status_code(status)), message);
    exit(1);
  }
  tutti_status_free(status);
}

tutti_status* outcome(tutti_work* work) {
  tutti_status* status = tutti_work_wait(work);
  tutti_work_free(work);
  return status;
}

struct thread {
  pthread_t id;
  int rank;
  void (*body)(int rank, void* context);
  void* context;
};

static void* start(void* argument) {
  const struct thread* thread = argument;
  thread->body(thread->rank, thread->context);
  return NULL;
}

void run_threads(int size, void (*body)(int rank, void* context), void* context) {
  struct thread threads[kRanksMax];
  EXPECT(size <= kRanksMax);
  for (int rank = 0; rank < size; ++rank) {
    threads[rank].rank = rank;
    threads[rank].body = body;
    threads[rank].context = context;
    EXPECT(pthread_create(&threads[rank].id, NULL, start, &threads[rank]) == 0);
  }
  for (int rank = 0; rank < size; ++rank) EXPECT(pthread_join(threads[rank].id, NULL) == 0);
}

struct ranks {
  tutti_bootstrap* bootstraps[kRanksMax];
  void (*body)(tutti_comm* comm);
};

static void run_rank(int rank, void* context) {
  const struct ranks* ranks = context;
  tutti_comm* comm = NULL;
  EXPECT_OK(tutti_comm_create(ranks->bootstraps[rank], NULL, &comm));
  tutti_bootstrap_free(ranks->bootstraps[rank]);
  ranks->body(comm);
  tutti_comm_free(comm);
}

void run_ranks(int size, void (*body)(tutti_comm* comm)) {
  struct ranks ranks;
  EXPECT(size <= kRanksMax);
  ranks.body = body;
  EXPECT_OK(tutti_bootstrap_in_process(NULL, size, ranks.bootstraps));
  run_threads(size, run_rank, &ranks);
}
