// Every error of the C interface: its code, and what its message names.

#include <stdio.h>
#include <string.h>

#include "c_api/ranks.h"

enum { kRanks = 2 };

static const tutti_code kBad = TUTTI_INVALID_ARGUMENT;

static void null_is_success(void) {
  EXPECT(tutti_status_code(NULL) == TUTTI_OK && tutti_status_failed_rank(NULL) == -1);
  EXPECT(strcmp(tutti_status_message(NULL), "") == 0);
}

static void null_handles_are_freed(void) {
  tutti_status_free(NULL);
  tutti_config_free(NULL);
  tutti_bootstrap_free(NULL);
  tutti_comm_free(NULL);
  tutti_work_free(NULL);
  tutti_memory_free(NULL);
  tutti_registered_memory_free(NULL);
  tutti_comm_abort(NULL);
}

static void null_handles_are_answered(void) {
  EXPECT(tutti_comm_rank(NULL) == -1 && tutti_comm_size(NULL) == -1);
  EXPECT(tutti_comm_local_rank(NULL) == -1 && tutti_comm_local_size(NULL) == -1);
  EXPECT(tutti_work_test(NULL));
  EXPECT_ERROR(tutti_work_wait(NULL), TUTTI_UNAVAILABLE, "memory has run out");
  EXPECT_ERROR(tutti_work_wait_for(NULL, 1), TUTTI_UNAVAILABLE, "memory has run out");
  EXPECT_ERROR(tutti_work_on_done(NULL, NULL, NULL), TUTTI_UNAVAILABLE, "memory has run out");
}

static void parsing(void) {
  tutti_data_type type = 42;
  tutti_reduce_op op = 42;
  EXPECT_ERROR(tutti_parse_data_type("flaot32", &type), kBad, "unknown data type 'flaot32'");
  EXPECT_ERROR(tutti_parse_reduce_op("plus", &op), kBad, "unknown reduction operator 'plus'");
  EXPECT(type == 42 && op == 42);
  EXPECT_ERROR(tutti_parse_data_type(NULL, &type), kBad, "tutti_parse_data_type: text is NULL");
  EXPECT_ERROR(tutti_parse_data_type("int8", NULL), kBad, "tutti_parse_data_type: type is NULL");
  EXPECT_ERROR(tutti_parse_reduce_op("sum", NULL), kBad, "tutti_parse_reduce_op: op is NULL");
}

static void configuration(void) {
  EXPECT_ERROR(tutti_config_create(NULL), kBad, "tutti_config_create: config is NULL");
  EXPECT_ERROR(tutti_config_from_env(NULL), kBad, "tutti_config_from_env: config is NULL");
  tutti_config* config = NULL;
  EXPECT_OK(tutti_config_create(&config));
  const char* text = "before";
  EXPECT_ERROR(tutti_config_set(NULL, "TUTTI_LANES", "1"), kBad, "config is NULL");
  EXPECT_ERROR(tutti_config_set(config, NULL, "1"), kBad, "variable is NULL");
  EXPECT_ERROR(tutti_config_set(config, "TUTTI_LANES", NULL), kBad, "value is NULL");
  EXPECT_ERROR(tutti_config_set(config, "TUTTI_THREADS", "17"), kBad,
               "TUTTI_THREADS='17' is not valid: use a whole number from 0 to 16");
  EXPECT_ERROR(tutti_config_set(config, "TUTTI_LANES", "99"), kBad,
               "TUTTI_LANES='99' is not valid: use a whole number from 1 to 8");
  EXPECT_ERROR(tutti_config_set(config, "TUTTI_LANE", "1"), kBad,
               "unknown setting 'TUTTI_LANE'; did you mean TUTTI_LANES?");
  EXPECT_ERROR(tutti_config_get(config, "TUTTI_LANE", &text), kBad, "did you mean TUTTI_LANES?");
  EXPECT(text == NULL);
  EXPECT_ERROR(tutti_config_get(NULL, "TUTTI_LANES", &text), kBad, "config is NULL");
  EXPECT_ERROR(tutti_config_get(config, "TUTTI_LANES", NULL), kBad, "value is NULL");
  EXPECT_OK(tutti_config_get(config, "TUTTI_LANES", &text));
  EXPECT(strcmp(text, "4") == 0);
  tutti_config_free(config);
}

static int refuse(void* context, const void* mine, size_t bytes, void* all) {
  (void)context, (void)mine, (void)bytes, (void)all;
  return 7;
}

static void bootstraps(void) {
  tutti_bootstrap* bootstrap = NULL;
  tutti_comm* comm = NULL;
  EXPECT_ERROR(tutti_bootstrap_from_env(NULL, NULL), kBad, "bootstrap is NULL");
  EXPECT_ERROR(tutti_bootstrap_in_process(NULL, 0, &bootstrap), kBad,
               "tutti_bootstrap_in_process: size is 0; it must be 1 or more");
  EXPECT_ERROR(tutti_bootstrap_in_process(NULL, 1, NULL), kBad, "bootstraps is NULL");
  EXPECT_ERROR(tutti_bootstrap_tcp(NULL, 0, 2, NULL, &bootstrap), kBad, "rendezvous is NULL");
  EXPECT_ERROR(tutti_bootstrap_tcp(NULL, 2, 2, "unix:nowhere", &bootstrap), kBad,
               "rank 2 of 2 ranks makes no sense");
  EXPECT(bootstrap == NULL);

  tutti_bootstrap_callbacks callbacks;
  callbacks.rank = 2;
  callbacks.size = 2;
  callbacks.context = NULL;
  callbacks.all_gather = NULL;
  EXPECT_ERROR(tutti_bootstrap_custom(NULL, &bootstrap), kBad, "callbacks is NULL");
  EXPECT_ERROR(tutti_bootstrap_custom(&callbacks, &bootstrap), kBad,
               "tutti_bootstrap_custom: callbacks->all_gather is NULL");
  callbacks.all_gather = refuse;
  EXPECT_ERROR(tutti_bootstrap_custom(&callbacks, &bootstrap), kBad,
               "callbacks->rank is 2; it must be 0 to 1");
  callbacks.size = -1;
  EXPECT_ERROR(tutti_bootstrap_custom(&callbacks, &bootstrap), kBad, "callbacks->size is -1");
  callbacks.rank = 0;
  callbacks.size = 2;
  EXPECT_OK(tutti_bootstrap_custom(&callbacks, &bootstrap));
  EXPECT_ERROR(tutti_comm_create(NULL, NULL, &comm), kBad, "bootstrap is NULL");
  EXPECT_ERROR(tutti_comm_create(bootstrap, NULL, NULL), kBad, "comm is NULL");
  EXPECT_ERROR(tutti_comm_create(bootstrap, NULL, &comm), TUTTI_UNAVAILABLE,
               "rank 0 of 2: the callback all_gather returned 7");
  EXPECT(comm == NULL);
  tutti_bootstrap_free(bootstrap);
  EXPECT_ERROR(tutti_comm_create_from_env(NULL), kBad, "comm is NULL");
}

static tutti_status* no_calls(void* context) {
  (void)context;
  return NULL;
}

static void null_communicator(void) {
  const tutti_reduction op = tutti_reduction_of(TUTTI_SUM);
  tutti_comm* comm = NULL;
  const char* text = NULL;
  int64_t x = 0;
  EXPECT_ERROR(tutti_comm_split(NULL, 0, 0, &comm), kBad, "tutti_comm_split: comm is NULL");
  EXPECT_ERROR(tutti_comm_duplicate(NULL, &comm), kBad, "tutti_comm_duplicate: comm is NULL");
  EXPECT_ERROR(tutti_comm_host(NULL, 0, &text), kBad, "tutti_comm_host: comm is NULL");
  EXPECT_ERROR(tutti_comm_algorithm(NULL, 0, 0, 0, &text), kBad, "comm is NULL");
  EXPECT_ERROR(tutti_comm_transport(NULL, 0, &text), kBad, "comm is NULL");
  EXPECT_ERROR(tutti_comm_status(NULL), kBad, "tutti_comm_status: comm is NULL");
  EXPECT_ERROR(tutti_barrier(NULL), kBad, "tutti_barrier: comm is NULL");
  EXPECT_ERROR(tutti_all_reduce(NULL, &x, &x, 1, TUTTI_INT64, op), kBad,
               "tutti_all_reduce: comm is NULL");
  EXPECT_FAILED(tutti_all_reduce_async(NULL, &x, &x, 1, TUTTI_INT64, op), kBad,
                "tutti_all_reduce_async: comm is NULL");
  EXPECT_FAILED(tutti_barrier_async(NULL), kBad, "tutti_barrier_async: comm is NULL");
  EXPECT_ERROR(tutti_group(NULL, no_calls, NULL), kBad, "tutti_group: comm is NULL");
  EXPECT_FAILED(tutti_group_async(NULL, no_calls, NULL), kBad, "comm is NULL");
}

static void bad_constants(tutti_comm* comm) {
  int32_t x = 1;
  tutti_reduction op = tutti_reduction_of(TUTTI_SUM);
  const int32_t wrong[] = {-1, 14, 256 + TUTTI_INT32};
  const char* messages[] = {"type is -1;", "type is 14;", "type is 264;"};
  for (int i = 0; i < 3; ++i) {
    EXPECT_ERROR(tutti_all_reduce(comm, &x, &x, 1, wrong[i], op), kBad, messages[i]);
    EXPECT_FAILED(tutti_send_async(comm, &x, 1, wrong[i], 0), kBad, messages[i]);
  }
  EXPECT_ERROR(tutti_broadcast(comm, &x, &x, 1, 14, 0), kBad,
               "tutti_broadcast: type is 14; the constants of tutti_data_type are 0 to 13");
  op.op = 8;
  EXPECT_ERROR(tutti_all_reduce(comm, &x, &x, 1, TUTTI_INT32, op), kBad,
               "op.op is 8; the constants of tutti_reduce_op are 0 to 7");
  op = tutti_premultiplied_sum_integer(3);
  op.op = TUTTI_MAX;
  EXPECT_ERROR(tutti_all_reduce(comm, &x, &x, 1, TUTTI_INT32, op), kBad,
               "op.op is max, but op.factor_kind is 2: only sum has factors");
  op.factor_kind = 3;
  EXPECT_ERROR(tutti_all_reduce(comm, &x, &x, 1, TUTTI_INT32, op), kBad,
               "op.factor_kind is 3; the constants of tutti_factor are 0 to 2");
  const char* text = "before";
  EXPECT_ERROR(tutti_comm_algorithm(comm, 9, 1, TUTTI_INT8, &text), kBad, "collective is 9");
  EXPECT_ERROR(tutti_comm_algorithm(comm, TUTTI_REDUCE, 1, 99, &text), kBad, "type is 99");
  EXPECT_ERROR(tutti_comm_algorithm(comm, TUTTI_REDUCE, -1, 0, &text), kBad, "count is -1");
  EXPECT_ERROR(tutti_comm_algorithm(comm, TUTTI_REDUCE, 1, 0, NULL), kBad, "name is NULL");
  EXPECT(text == NULL);
}

static void bad_values(tutti_comm* comm) {
  float x = 1;
  const tutti_reduction op = tutti_reduction_of(TUTTI_SUM);
  EXPECT_ERROR(tutti_all_reduce(comm, &x, &x, -1, TUTTI_FLOAT32, op), kBad, "count is -1");
  EXPECT_ERROR(tutti_all_reduce(comm, NULL, &x, 1, TUTTI_FLOAT32, op), kBad, "send is null");
  EXPECT_ERROR(tutti_all_reduce(comm, &x, &x, 1, TUTTI_FLOAT32, tutti_reduction_of(TUTTI_BIT_OR)),
               kBad, "bit_or has no meaning for float32");
  EXPECT_ERROR(tutti_all_reduce(comm, &x, &x, 1, TUTTI_FLOAT32, tutti_premultiplied_sum_integer(2)),
               kBad,
               "the factor of a premultiplied sum of float32 must be a floating-point number");
  EXPECT_ERROR(tutti_broadcast(comm, &x, &x, 1, TUTTI_FLOAT32, 2), kBad,
               "root is 2; the communicator has ranks 0 to 1");
  EXPECT_ERROR(tutti_gather(comm, &x, &x, 1, TUTTI_FLOAT32, -1), kBad, "root is -1");
  EXPECT_ERROR(tutti_send(comm, &x, 1, TUTTI_FLOAT32, 5), kBad, "5");
  EXPECT_FAILED(tutti_recv_async(comm, &x, -3, TUTTI_FLOAT32, 0), kBad, "-3");

  const int64_t counts[kRanks] = {1, -1};
  EXPECT_ERROR(tutti_all_gather_v(comm, &x, &x, NULL, NULL, TUTTI_FLOAT32), kBad,
               "tutti_all_gather_v: recv_counts is NULL");
  EXPECT_ERROR(tutti_all_gather_v(comm, &x, &x, counts, NULL, TUTTI_FLOAT32), kBad,
               "counts[1] is -1");
  EXPECT_ERROR(tutti_scatter_v(comm, &x, &x, NULL, NULL, TUTTI_FLOAT32, 0), kBad,
               "send_counts is NULL");
  EXPECT_FAILED(tutti_all_to_all_v_async(comm, &x, counts, NULL, &x, NULL, NULL, TUTTI_FLOAT32),
                kBad, "tutti_all_to_all_v_async: recv_counts is NULL");

  const char* text = NULL;
  EXPECT_ERROR(tutti_comm_host(comm, 2, &text), kBad, "tutti_comm_host: rank is 2; it must be 0");
  EXPECT_ERROR(tutti_comm_host(comm, 0, NULL), kBad, "host is NULL");
  EXPECT_ERROR(tutti_comm_transport(comm, -1, &text), kBad, "peer is -1; it must be 0 to 1");
  EXPECT_ERROR(tutti_comm_split(comm, 0, 0, NULL), kBad, "part is NULL");
  EXPECT_ERROR(tutti_comm_duplicate(comm, NULL), kBad, "copy is NULL");
  EXPECT_ERROR(tutti_group(comm, NULL, NULL), kBad, "tutti_group: calls is NULL");
}

static void expect_failure(const tutti_status* outcome, void* context) {
  EXPECT(tutti_status_code(outcome) == kBad);
  EXPECT(strstr(tutti_status_message(outcome), "type is 99") != NULL);
  ++*(int*)context;
}

static void bad_works(tutti_comm* comm) {
  float x = 1;
  int calls = 0;
  tutti_work* work = tutti_send_async(comm, &x, 1, 99, 0);
  EXPECT(tutti_work_test(work));
  EXPECT_ERROR(tutti_work_wait_for(work, 0), kBad, "tutti_send_async: type is 99");
  EXPECT_ERROR(tutti_work_on_done(work, NULL, NULL), kBad, "callback is NULL");
  EXPECT_OK(tutti_work_on_done(work, expect_failure, &calls));
  EXPECT(calls == 1);
  tutti_work_free(work);

  // What rank 0 waits for is sent only when it has seen that waiting can end before.
  tutti_comm* other = NULL;
  EXPECT_OK(tutti_comm_duplicate(comm, &other));
  if (tutti_comm_rank(comm) == 0) {
    work = tutti_recv_async(comm, &x, 1, TUTTI_FLOAT32, 1);
    EXPECT(!tutti_work_test(work));
    EXPECT_ERROR(tutti_work_wait_for(work, 1), TUTTI_TIMED_OUT, "still running after 1 ms");
    EXPECT_OK(tutti_barrier(other));
    EXPECT_DONE(work);
  } else {
    EXPECT_OK(tutti_barrier(other));
    EXPECT_OK(tutti_send(comm, &x, 1, TUTTI_FLOAT32, 0));
  }
  tutti_comm_free(other);
}

// A group whose callback passes on the error of a call, and one that keeps it to itself.
static tutti_status* report(void* context) {
  return tutti_send(context, NULL, -5, TUTTI_INT8, 0);
}

static tutti_status* keep_quiet(void* context) {
  tutti_comm* comm = context;
  tutti_status_free(tutti_all_gather_v(comm, NULL, NULL, NULL, NULL, TUTTI_INT8));
  tutti_status_free(tutti_barrier(comm));
  return NULL;
}

static tutti_status* keep_inner_quiet(void* context) {
  tutti_status_free(tutti_group(context, keep_quiet, context));
  return NULL;
}

// The error of something else than a call of the group.
static tutti_status* fail_elsewhere(void* context) {
  tutti_status* status = tutti_barrier(context);
  return status != NULL ? status : tutti_config_create(NULL);
}

static void bad_groups(tutti_comm* comm) {
  EXPECT_ERROR(tutti_group(comm, report, comm), kBad, "-5");
  EXPECT_FAILED(tutti_group_async(comm, report, comm), kBad, "-5");
  EXPECT_ERROR(tutti_group(comm, keep_quiet, comm), kBad, "recv_counts is NULL");
  EXPECT_FAILED(tutti_group_async(comm, keep_quiet, comm), kBad, "recv_counts is NULL");
  EXPECT_ERROR(tutti_group(comm, keep_inner_quiet, comm), kBad, "recv_counts is NULL");
  EXPECT_ERROR(tutti_group(comm, fail_elsewhere, comm), kBad, "tutti_config_create");
}

// None of these errors sends anything or ends the communicator.
static void harmless(tutti_comm* comm) {
  bad_constants(comm);
  bad_values(comm);
  bad_groups(comm);
  EXPECT_OK(tutti_comm_status(comm));
  EXPECT_OK(tutti_barrier(comm));
}

static void aborted(tutti_comm* comm) {
  EXPECT_OK(tutti_barrier(comm));
  if (tutti_comm_rank(comm) == 1) tutti_comm_abort(comm);
  tutti_status* status = tutti_barrier(comm);
  EXPECT(tutti_status_failed_rank(status) == 1);
  EXPECT_ERROR(status, TUTTI_ABORTED, "rank 1");
  EXPECT_ERROR(tutti_comm_status(comm), TUTTI_ABORTED, "aborted the communicator");
  EXPECT_FAILED(tutti_barrier_async(comm), TUTTI_ABORTED, "rank 1");
}

static void mismatched(tutti_comm* comm) {
  int64_t data[4] = {0, 0, 0, 0};
  const int64_t count = tutti_comm_rank(comm) == 0 ? 4 : 3;
  EXPECT_ERROR(
      tutti_all_reduce(comm, data, data, count, TUTTI_INT64, tutti_reduction_of(TUTTI_SUM)),
      TUTTI_MISMATCH, "all_reduce(int64, ");
}

int main(void) {
  null_is_success();
  null_handles_are_freed();
  null_handles_are_answered();
  parsing();
  configuration();
  bootstraps();
  null_communicator();
  run_ranks(kRanks, harmless);
  run_ranks(kRanks, bad_works);
  run_ranks(kRanks, aborted);
  run_ranks(kRanks, mismatched);
  puts("every error says what is wrong");
  return 0;
}
