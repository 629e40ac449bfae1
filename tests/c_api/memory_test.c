// Memory that is allocated or registered, in C: what it is, what it is good for, and what is said
// when there can be none.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c_api/ranks.h"

enum { kRanks = 3, kCount = 100000 };

static void sum_in(tutti_comm* comm, float* data) {
  for (int i = 0; i < kCount; ++i) data[i] = (float)(tutti_comm_rank(comm) + i % 7);
  EXPECT_OK(
      tutti_all_reduce(comm, data, data, kCount, TUTTI_FLOAT32, tutti_reduction_of(TUTTI_SUM)));
  int wrong = 0;
  for (int i = 0; i < kCount; ++i) wrong += data[i] != (float)(3 + 3 * (i % 7));
  EXPECT(wrong == 0);
}

static void allocated(tutti_comm* comm) {
  const size_t bytes = kCount * sizeof(float);
  tutti_memory* memory = NULL;
  EXPECT_OK(tutti_comm_allocate(comm, bytes, &memory));
  EXPECT(tutti_memory_bytes(memory) == bytes && (uintptr_t)tutti_memory_data(memory) % 4096 == 0);
  float* data = tutti_memory_data(memory);
  EXPECT(data[0] == 0 && data[kCount - 1] == 0);
  sum_in(comm, data);
  tutti_memory* nothing = NULL;
  EXPECT_OK(tutti_comm_allocate(comm, 0, &nothing));
  EXPECT(tutti_memory_data(nothing) == NULL && tutti_memory_bytes(nothing) == 0);
  tutti_memory_free(nothing);
  tutti_memory_free(memory);
}

static void registered(tutti_comm* comm) {
  const size_t bytes = kCount * sizeof(float);
  float* data = malloc(bytes);
  EXPECT(data != NULL);
  tutti_registered_memory* memory = NULL;
  EXPECT_OK(tutti_comm_register_memory(comm, data, bytes, &memory));
  sum_in(comm, data);
  tutti_registered_memory* again = NULL;
  EXPECT_ERROR(tutti_comm_register_memory(comm, data + 1, 4, &again), TUTTI_INVALID_ARGUMENT,
               "registered already; register each buffer once");
  EXPECT(again == NULL);
  tutti_registered_memory_free(memory);
  EXPECT_OK(tutti_comm_register_memory(comm, data, bytes, &memory));
  tutti_registered_memory_free(memory);
  free(data);
}

static void refused(tutti_comm* comm) {
  const tutti_code bad = TUTTI_INVALID_ARGUMENT;
  tutti_memory* memory = NULL;
  tutti_registered_memory* own = NULL;
  float data = 0;
  EXPECT_ERROR(tutti_comm_allocate(NULL, 1, &memory), bad, "tutti_comm_allocate: comm is NULL");
  EXPECT_ERROR(tutti_comm_allocate(comm, 1, NULL), bad, "tutti_comm_allocate: memory is NULL");
  EXPECT_ERROR(tutti_comm_allocate(comm, (size_t)1 << 49, &memory), TUTTI_UNAVAILABLE,
               "cannot allocate 562949953421312 bytes: ");
  EXPECT(memory == NULL);
  EXPECT_ERROR(tutti_comm_register_memory(NULL, &data, 4, &own), bad,
               "tutti_comm_register_memory: comm is NULL");
  EXPECT_ERROR(tutti_comm_register_memory(comm, &data, 4, NULL), bad,
               "tutti_comm_register_memory: memory is NULL");
  EXPECT_ERROR(tutti_comm_register_memory(comm, NULL, 4, &own), bad,
               "register_memory: the data is null; pass the first of the 4 bytes");
  EXPECT(own == NULL);
  EXPECT(tutti_memory_data(NULL) == NULL && tutti_memory_bytes(NULL) == 0);
  EXPECT_OK(tutti_barrier(comm));  // none of it was final
}

static void all(tutti_comm* comm) {
  allocated(comm);
  registered(comm);
  refused(comm);
}

static float kept_data;
static tutti_memory* kept[kRanks];
static tutti_registered_memory* kept_registered[kRanks];

static void keep(tutti_comm* comm) {
  const int rank = tutti_comm_rank(comm);
  EXPECT_OK(tutti_comm_allocate(comm, 100, &kept[rank]));
  EXPECT_OK(tutti_comm_register_memory(comm, &kept_data, 4, &kept_registered[rank]));
}

static void handles_outlive_the_communicator(void) {
  run_ranks(kRanks, keep);
  for (int rank = 0; rank < kRanks; ++rank) {
    memset(tutti_memory_data(kept[rank]), 1, 100);
    tutti_memory_free(kept[rank]);
    tutti_registered_memory_free(kept_registered[rank]);
  }
}

int main(void) {
  run_ranks(kRanks, all);
  handles_outlive_the_communicator();
  puts("memory is allocated, registered and given back");
  return 0;
}
