// What comes before the first call, in C: versions, names, configuration, bootstraps.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "c_api/ranks.h"

enum { kRanks = 3 };

static void versions(void) {
  char header[32];
  snprintf(header, sizeof header, "%d.%d.%d", TUTTI_VERSION_MAJOR, TUTTI_VERSION_MINOR,
           TUTTI_VERSION_PATCH);
  EXPECT(strcmp(header, TUTTI_PROJECT_VERSION) == 0);
  EXPECT(strcmp(tutti_version(), TUTTI_PROJECT_VERSION) == 0);
}

static void names(void) {
  EXPECT(strcmp(tutti_code_name(TUTTI_TIMED_OUT), "timed_out") == 0);
  EXPECT(strcmp(tutti_collective_name(TUTTI_ALL_TO_ALL), "all_to_all") == 0);
  for (tutti_data_type type = TUTTI_FLOAT32; type <= TUTTI_UINT64; ++type) {
    tutti_data_type parsed = -1;
    EXPECT_OK(tutti_parse_data_type(tutti_data_type_name(type), &parsed));
    EXPECT(parsed == type && tutti_data_type_size(type) >= 1);
    EXPECT(tutti_supports(type, TUTTI_SUM));
    EXPECT(tutti_supports(type, TUTTI_BIT_XOR) == (type >= TUTTI_INT8));
  }
  for (tutti_reduce_op op = TUTTI_SUM; op <= TUTTI_BIT_XOR; ++op) {
    tutti_reduce_op parsed = -1;
    EXPECT_OK(tutti_parse_reduce_op(tutti_reduce_op_name(op), &parsed));
    EXPECT(parsed == op);
  }
  EXPECT(tutti_data_type_size(TUTTI_BFLOAT16) == 2 && tutti_data_type_size(TUTTI_FLOAT64) == 8);

  const int32_t unknown[] = {-1, 14, 255, 256, 1000000};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; ++i) {
    EXPECT(strcmp(tutti_code_name(unknown[i]), "invalid") == 0);
    EXPECT(strcmp(tutti_data_type_name(unknown[i]), "invalid") == 0);
    EXPECT(strcmp(tutti_reduce_op_name(unknown[i]), "invalid") == 0);
    EXPECT(strcmp(tutti_collective_name(unknown[i]), "invalid") == 0);
    EXPECT(tutti_data_type_size(unknown[i]) == 0 && !tutti_supports(unknown[i], TUTTI_SUM));
    EXPECT(!tutti_supports(TUTTI_INT8, unknown[i]));
  }
}

static void expect_setting(tutti_config* config, const char* variable, const char* expected) {
  const char* text = NULL;
  EXPECT_OK(tutti_config_get(config, variable, &text));
  EXPECT(strcmp(text, expected) == 0);
}

static void configuration(void) {
  tutti_config* config = NULL;
  EXPECT_OK(tutti_config_create(&config));
  expect_setting(config, "TUTTI_LANES", "4");
  expect_setting(config, "TUTTI_THREADS", "0");
  expect_setting(config, "TUTTI_TRANSPORT", "loopback,shm,rdma,tcp");
  expect_setting(config, "TUTTI_RDMA_GID_INDEX", "");
  expect_setting(config, "TUTTI_RENDEZVOUS", "");
  EXPECT_OK(tutti_config_set(config, "TUTTI_LANES", "2"));
  EXPECT_OK(tutti_config_set(config, "TUTTI_THREADS", "3"));
  EXPECT_OK(tutti_config_set(config, "TUTTI_TRANSPORT", "shm,tcp"));
  EXPECT_OK(tutti_config_set(config, "TUTTI_ALGORITHM", "all_reduce:ring"));
  EXPECT_OK(tutti_config_set(config, "TUTTI_RENDEZVOUS", "node1:29400"));
  expect_setting(config, "TUTTI_LANES", "2");
  expect_setting(config, "TUTTI_THREADS", "3");
  expect_setting(config, "TUTTI_TRANSPORT", "shm,tcp");
  expect_setting(config, "TUTTI_ALGORITHM", "all_reduce:ring");
  expect_setting(config, "TUTTI_RENDEZVOUS", "node1:29400");
  tutti_config_free(config);

  EXPECT(setenv("TUTTI_TIMEOUT_MS", "12345", 1) == 0);
  EXPECT_OK(tutti_config_from_env(&config));
  expect_setting(config, "TUTTI_TIMEOUT_MS", "12345");
  tutti_config_free(config);
}

// An all-gather of the program's own, for threads.
struct store {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int arrived;  // in all rounds together
  char blocks[kRanks][4096];
};

struct member {
  struct store* store;
  int rank;
};

// Waits until all have come as often as this rank.
static void meet(struct store* store) {
  const int until = (store->arrived++ / kRanks + 1) * kRanks;
  pthread_cond_broadcast(&store->changed);
  while (store->arrived < until) pthread_cond_wait(&store->changed, &store->mutex);
}

static int all_gather(void* context, const void* mine, size_t bytes, void* all) {
  const struct member* member = context;
  struct store* store = member->store;
  if (bytes > sizeof store->blocks[0]) return 7;
  pthread_mutex_lock(&store->mutex);
  memcpy(store->blocks[member->rank], mine, bytes);
  meet(store);
  for (int rank = 0; rank < kRanks; ++rank) {
    memcpy((char*)all + (size_t)rank * bytes, store->blocks[rank], bytes);
  }
  meet(store);
  pthread_mutex_unlock(&store->mutex);
  return 0;
}

static void expect_sum(tutti_comm* comm) {
  EXPECT(tutti_comm_size(comm) == kRanks);
  int32_t sum = tutti_comm_rank(comm) + 1;
  EXPECT_OK(tutti_all_reduce(comm, &sum, &sum, 1, TUTTI_INT32, tutti_reduction_of(TUTTI_SUM)));
  EXPECT(sum == 6);
}

static void with_callbacks(int rank, void* context) {
  struct member member;
  member.store = context;
  member.rank = rank;
  tutti_bootstrap_callbacks callbacks;
  callbacks.rank = rank;
  callbacks.size = kRanks;
  callbacks.context = &member;
  callbacks.all_gather = all_gather;
  tutti_bootstrap* bootstrap = NULL;
  tutti_comm* comm = NULL;
  EXPECT_OK(tutti_bootstrap_custom(&callbacks, &bootstrap));
  EXPECT_OK(tutti_comm_create(bootstrap, NULL, &comm));
  tutti_bootstrap_free(bootstrap);
  expect_sum(comm);
  tutti_comm_free(comm);
}

static void with_rendezvous(int rank, void* context) {
  tutti_config* config = NULL;
  tutti_bootstrap* bootstrap = NULL;
  tutti_comm* comm = NULL;
  EXPECT_OK(tutti_config_create(&config));
  EXPECT_OK(tutti_config_set(config, "TUTTI_TRANSPORT", "tcp"));
  EXPECT_OK(tutti_bootstrap_tcp(config, rank, kRanks, context, &bootstrap));
  EXPECT_OK(tutti_comm_create(bootstrap, config, &comm));
  tutti_bootstrap_free(bootstrap);
  const char* transport = NULL;
  EXPECT_OK(tutti_comm_transport(comm, (rank + 1) % kRanks, &transport));
  EXPECT(strcmp(transport, "tcp") == 0);
  expect_sum(comm);
  tutti_comm_free(comm);
  tutti_config_free(config);
}

static void alone(void) {
  tutti_bootstrap* bootstrap = NULL;
  tutti_comm* comm = NULL;
  EXPECT_OK(tutti_bootstrap_from_env(NULL, &bootstrap));
  EXPECT_OK(tutti_comm_create(bootstrap, NULL, &comm));
  tutti_bootstrap_free(bootstrap);
  EXPECT(tutti_comm_rank(comm) == 0 && tutti_comm_size(comm) == 1);
  tutti_comm_free(comm);
  EXPECT_OK(tutti_comm_create_from_env(&comm));
  EXPECT(tutti_comm_size(comm) == 1);
  tutti_comm_free(comm);
}

int main(void) {
  versions();
  names();
  configuration();
  alone();
  struct store store;
  memset(&store, 0, sizeof store);
  EXPECT(pthread_mutex_init(&store.mutex, NULL) == 0 &&
         pthread_cond_init(&store.changed, NULL) == 0);
  run_threads(kRanks, with_callbacks, &store);
  pthread_cond_destroy(&store.changed);
  pthread_mutex_destroy(&store.mutex);
  char rendezvous[64];
  snprintf(rendezvous, sizeof rendezvous, "unix:tutti-test-%ld", (long)getpid());
  run_threads(kRanks, with_rendezvous, rendezvous);
  puts("every way to begin works");
  return 0;
}
