// A program of somebody else, in C: two processes sum three numbers. The first starts the second.

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tutti/tutti.h"

static int fail(tutti_status* status) {
  fprintf(stderr, "%s\n", tutti_status_message(status));
  tutti_status_free(status);
  return 1;
}

static int run(int rank, const char* rendezvous) {
  tutti_bootstrap* bootstrap = NULL;
  tutti_comm* comm = NULL;
  tutti_status* status = tutti_bootstrap_tcp(NULL, rank, 2, rendezvous, &bootstrap);
  if (status == NULL) status = tutti_comm_create(bootstrap, NULL, &comm);
  tutti_bootstrap_free(bootstrap);
  if (status != NULL) return fail(status);

  const float send[3] = {1, 2, 3};
  float recv[3] = {0, 0, 0};
  status = tutti_all_reduce(comm, send, recv, 3, TUTTI_FLOAT32, tutti_reduction_of(TUTTI_SUM));
  tutti_comm_free(comm);
  if (status != NULL) return fail(status);
  return recv[0] == 2 && recv[1] == 4 && recv[2] == 6 ? 0 : 1;
}

int main(void) {
  // No two runs share an address.
  char rendezvous[64];
  snprintf(rendezvous, sizeof rendezvous, "unix:tutti-consumer-%ld", (long)getpid());
  const pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) return run(1, rendezvous);
  const int failed = run(0, rendezvous);
  int status = 0;
  const int waited = waitpid(child, &status, 0) == child;
  const int agree = !failed && waited && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  puts(agree ? "2 ranks agree" : "wrong result");
  return agree ? 0 : 1;
}
