// Allocated and registered memory in C: see memory.cpp.
#include <stdio.h>
#include <stdlib.h>

#include "tutti/tutti.h"

enum { kWeights = 1 << 20 };
static const size_t kBytes = kWeights * sizeof(float);

static void must(tutti_status* status) {
  if (status == NULL) return;
  fprintf(stderr, "memory_c: %s\n", tutti_status_message(status));
  exit(1);
}

static float sum(tutti_comm* comm, float* weights) {
  for (int i = 0; i < kWeights; ++i) weights[i] = (float)tutti_comm_rank(comm);
  must(tutti_all_reduce(comm, weights, weights, kWeights, TUTTI_FLOAT32,
                        tutti_reduction_of(TUTTI_SUM)));
  return weights[kWeights - 1];
}

int main(void) {
  tutti_comm* comm = NULL;
  must(tutti_comm_create_from_env(&comm));

  tutti_memory* allocated = NULL;
  must(tutti_comm_allocate(comm, kBytes, &allocated));
  const float first = sum(comm, tutti_memory_data(allocated));
  tutti_memory_free(allocated);

  float* own = malloc(kBytes);  // tidy: allow malloc: this is C
  if (own == NULL) return 1;
  tutti_registered_memory* registered = NULL;
  must(tutti_comm_register_memory(comm, own, kBytes, &registered));
  const float second = sum(comm, own);
  tutti_registered_memory_free(registered);  // before the memory goes
  free(own);

  printf("rank %d: sums to %g in allocated memory, to %g in registered memory\n",
         tutti_comm_rank(comm), first, second);
  tutti_comm_free(comm);
  return first == second ? 0 : 1;
}
