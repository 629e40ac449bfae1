// The smallest program in C: every rank contributes its number, and all learn the sum. Built as C99
// and linked with the library alone.
#include <stdio.h>

#include "tutti/tutti.h"

static int fail(tutti_status* status) {
  fprintf(stderr, "hello_c: %s\n", tutti_status_message(status));
  tutti_status_free(status);
  return 1;
}

int main(void) {
  tutti_comm* comm = NULL;
  tutti_status* status = tutti_comm_create_from_env(&comm);
  if (status != NULL) return fail(status);

  int64_t sum = tutti_comm_rank(comm);
  status = tutti_all_reduce(comm, &sum, &sum, 1, TUTTI_INT64, tutti_reduction_of(TUTTI_SUM));
  if (status == NULL) {
    printf("rank %d of %d: the ranks add up to %lld\n", tutti_comm_rank(comm),
           tutti_comm_size(comm), (long long)sum);
  }
  tutti_comm_free(comm);
  return status == NULL ? 0 : fail(status);
}
