// Every call of the C interface, blocking and asynchronous, on ranks that are threads.

#include <stdio.h>
#include <string.h>

#include "c_api/ranks.h"

enum { kRanks = 4, kCount = 5, kAll = kRanks * kCount };

// Runs the blocking form of a call, or the other.
#define CALL(async, name, ...) \
  EXPECT_OK((async) ? outcome(tutti_##name##_async(__VA_ARGS__)) : tutti_##name(__VA_ARGS__))

// Element i of rank r's data.
static int64_t value(int rank, int i) {
  return 100 * rank + i;
}

static void fill(int64_t* data, int rank, int count) {
  for (int i = 0; i < count; ++i) data[i] = value(rank, i);
}

// The sum over the ranks of element i.
static int64_t sum(int i) {
  int64_t total = 0;
  for (int rank = 0; rank < kRanks; ++rank) total += value(rank, i);
  return total;
}

static void reductions(tutti_comm* comm, bool async) {
  const tutti_reduction op = tutti_reduction_of(TUTTI_SUM);
  const int rank = tutti_comm_rank(comm);
  int64_t send[kAll];
  int64_t recv[kAll];
  fill(send, rank, kAll);

  CALL(async, all_reduce, comm, send, recv, kCount, TUTTI_INT64, op);
  for (int i = 0; i < kCount; ++i) EXPECT(recv[i] == sum(i));

  memset(recv, 0, sizeof recv);
  CALL(async, reduce, comm, send, rank == 2 ? recv : NULL, kCount, TUTTI_INT64, op, 2);
  for (int i = 0; i < kCount; ++i) EXPECT(recv[i] == (rank == 2 ? sum(i) : 0));

  CALL(async, reduce_scatter, comm, send, recv, kCount, TUTTI_INT64, op);
  for (int i = 0; i < kCount; ++i) EXPECT(recv[i] == sum(rank * kCount + i));

  // Rank r gets r elements.
  const int64_t counts[kRanks] = {0, 1, 2, 3};
  const int64_t offsets[kRanks] = {0, 10, 4, 12};
  CALL(async, reduce_scatter_v, comm, send, recv, counts, offsets, TUTTI_INT64, op);
  for (int i = 0; i < rank; ++i) EXPECT(recv[i] == sum((int)offsets[rank] + i));
}

static void factors(tutti_comm* comm, bool async) {
  const int rank = tutti_comm_rank(comm);
  const float floating = 3;
  float total = 0;
  CALL(async, all_reduce, comm, &floating, &total, 1, TUTTI_FLOAT32, tutti_premultiplied_sum(0.5));
  EXPECT(total == 6);
  const int32_t integer = 3;
  int32_t weighted = 0;
  CALL(async, all_reduce, comm, &integer, &weighted, 1, TUTTI_INT32,
       tutti_premultiplied_sum_integer(rank));
  EXPECT(weighted == 18);
}

static void gathers(tutti_comm* comm, bool async) {
  const int rank = tutti_comm_rank(comm);
  int64_t send[kAll];
  int64_t recv[kAll];
  fill(send, rank, kAll);

  CALL(async, all_gather, comm, send, recv, kCount, TUTTI_INT64);
  for (int i = 0; i < kAll; ++i) EXPECT(recv[i] == value(i / kCount, i % kCount));

  memset(recv, 0, sizeof recv);
  CALL(async, gather, comm, send, rank == 1 ? recv : NULL, kCount, TUTTI_INT64, 1);
  for (int i = 0; i < kAll; ++i) {
    EXPECT(recv[i] == (rank == 1 ? value(i / kCount, i % kCount) : 0));
  }

  const int64_t counts[kRanks] = {3, 0, 2, 1};
  const int64_t offsets[kRanks] = {10, 0, 0, 4};
  memset(recv, 0, sizeof recv);
  CALL(async, all_gather_v, comm, send, recv, counts, offsets, TUTTI_INT64);
  for (int r = 0; r < kRanks; ++r) {
    for (int i = 0; i < counts[r]; ++i) EXPECT(recv[offsets[r] + i] == value(r, i));
  }
  memset(recv, 0, sizeof recv);
  CALL(async, gather_v, comm, send, recv, counts, NULL, TUTTI_INT64, 3);
  const int64_t packed[6] = {value(0, 0), value(0, 1), value(0, 2),
                             value(2, 0), value(2, 1), value(3, 0)};
  EXPECT(rank != 3 || memcmp(recv, packed, sizeof packed) == 0);
}

static void scatters(tutti_comm* comm, bool async) {
  const int rank = tutti_comm_rank(comm);
  int64_t send[kAll];
  int64_t recv[kAll];
  fill(send, rank, kAll);

  CALL(async, broadcast, comm, rank == 3 ? send : NULL, recv, kCount, TUTTI_INT64, 3);
  for (int i = 0; i < kCount; ++i) EXPECT(recv[i] == value(3, i));

  CALL(async, scatter, comm, rank == 0 ? send : NULL, recv, kCount, TUTTI_INT64, 0);
  for (int i = 0; i < kCount; ++i) EXPECT(recv[i] == value(0, rank * kCount + i));

  const int64_t counts[kRanks] = {3, 0, 2, 1};
  const int64_t offsets[kRanks] = {10, 0, 0, 4};
  CALL(async, scatter_v, comm, send, recv, counts, offsets, TUTTI_INT64, 2);
  for (int i = 0; i < counts[rank]; ++i) EXPECT(recv[i] == value(2, (int)offsets[rank] + i));
}

static void exchanges(tutti_comm* comm, bool async) {
  const int rank = tutti_comm_rank(comm);
  int64_t send[kAll];
  int64_t recv[kAll];
  fill(send, rank, kAll);

  CALL(async, all_to_all, comm, send, recv, kCount, TUTTI_INT64);
  for (int i = 0; i < kAll; ++i) EXPECT(recv[i] == value(i / kCount, rank * kCount + i % kCount));

  // Rank r sends r elements to everybody, the first of which it keeps twice.
  const int64_t send_counts[kRanks] = {rank, rank, rank, rank};
  const int64_t send_offsets[kRanks] = {0, kCount, 2 * kCount, 3 * kCount};
  const int64_t recv_counts[kRanks] = {0, 1, 2, 3};
  CALL(async, all_to_all_v, comm, send, send_counts, send_offsets, recv, recv_counts, NULL,
       TUTTI_INT64);
  for (int r = 0, at = 0; r < kRanks; ++r) {
    for (int i = 0; i < r; ++i, ++at) EXPECT(recv[at] == value(r, rank * kCount + i));
  }
  CALL(async, barrier, comm);
}

static void point_to_point(tutti_comm* comm, bool async) {
  const int rank = tutti_comm_rank(comm);
  const int next = (rank + 1) % kRanks;
  const int previous = (rank + kRanks - 1) % kRanks;
  int64_t send[kCount];
  int64_t recv[kCount];
  fill(send, rank, kCount);
  CALL(async, send_recv, comm, send, kCount, next, recv, kCount, previous, TUTTI_INT64);
  for (int i = 0; i < kCount; ++i) EXPECT(recv[i] == value(previous, i));

  const int partner = rank ^ 1;
  if (rank < partner) {
    CALL(async, send, comm, send, kCount, TUTTI_INT64, partner);
    CALL(async, recv, comm, recv, kCount, TUTTI_INT64, partner);
  } else {
    CALL(async, recv, comm, recv, kCount, TUTTI_INT64, partner);
    CALL(async, send, comm, send, kCount, TUTTI_INT64, partner);
  }
  for (int i = 0; i < kCount; ++i) EXPECT(recv[i] == value(partner, i));
}

// All of a rank's data goes to everybody, and two sums are made on the way.
struct swap {
  tutti_comm* comm;
  int64_t send[kCount];
  int64_t recv[kRanks][kCount];
  int64_t sums[2];
};

static tutti_status* swap_all(void* context) {
  struct swap* swap = context;
  tutti_status* status = NULL;
  for (int peer = 0; peer < kRanks && status == NULL; ++peer) {
    status = tutti_send(swap->comm, swap->send, kCount, TUTTI_INT64, peer);
    if (status == NULL) {
      status = tutti_recv(swap->comm, swap->recv[peer], kCount, TUTTI_INT64, peer);
    }
  }
  for (int i = 0; i < 2 && status == NULL; ++i) {
    status = tutti_all_reduce(swap->comm, &swap->send[i], &swap->sums[i], 1, TUTTI_INT64,
                              tutti_reduction_of(TUTTI_SUM));
  }
  return status;
}

static void groups(tutti_comm* comm, bool async) {
  struct swap swap;
  swap.comm = comm;
  fill(swap.send, tutti_comm_rank(comm), kCount);
  CALL(async, group, comm, swap_all, &swap);
  for (int r = 0; r < kRanks; ++r) {
    for (int i = 0; i < kCount; ++i) EXPECT(swap.recv[r][i] == value(r, i));
  }
  EXPECT(swap.sums[0] == sum(0) && swap.sums[1] == sum(1));
}

static void all_calls(tutti_comm* comm) {
  for (int async = 0; async < 2; ++async) {
    reductions(comm, async);
    factors(comm, async);
    gathers(comm, async);
    scatters(comm, async);
    exchanges(comm, async);
    point_to_point(comm, async);
    groups(comm, async);
  }
  EXPECT_OK(tutti_comm_status(comm));
}

static void in_place(tutti_comm* comm) {
  const int rank = tutti_comm_rank(comm);
  int64_t data[kAll];
  fill(data, rank, kAll);
  EXPECT_OK(tutti_all_gather(comm, data + rank * kCount, data, kCount, TUTTI_INT64));
  for (int i = 0; i < kAll; ++i) EXPECT(data[i] == value(i / kCount, i));
  fill(data, rank, kAll);
  EXPECT_OK(tutti_all_to_all(comm, data, data, kCount, TUTTI_INT64));
  for (int i = 0; i < kAll; ++i) EXPECT(data[i] == value(i / kCount, rank * kCount + i % kCount));
}

static void count_call(const tutti_status* outcome, void* context) {
  EXPECT(outcome == NULL);
  ++*(int*)context;
}

static void works(tutti_comm* comm) {
  int64_t data[2] = {1, 2};
  int calls = 0;
  const tutti_reduction op = tutti_reduction_of(TUTTI_SUM);
  tutti_work* first = tutti_all_reduce_async(comm, &data[0], &data[0], 1, TUTTI_INT64, op);
  tutti_work* second = tutti_all_reduce_async(comm, &data[1], &data[1], 1, TUTTI_INT64, op);
  EXPECT_OK(tutti_work_on_done(first, count_call, &calls));
  EXPECT_OK(tutti_work_wait_for(second, 60000));
  EXPECT(tutti_work_test(first) && tutti_work_test(second));
  EXPECT(calls == 1 && data[0] == kRanks && data[1] == 2 * kRanks);
  EXPECT_OK(tutti_work_on_done(second, count_call, &calls));
  EXPECT(calls == 2);
  tutti_work_free(first);
  tutti_work_free(second);
}

static void parts(tutti_comm* comm) {
  const int rank = tutti_comm_rank(comm);
  tutti_comm* part = NULL;
  // The last first.
  EXPECT_OK(tutti_comm_split(comm, rank % 2, -rank, &part));
  EXPECT(tutti_comm_size(part) == kRanks / 2 && tutti_comm_rank(part) == (rank < 2 ? 1 : 0));
  int32_t total = rank;
  EXPECT_OK(tutti_all_reduce(part, &total, &total, 1, TUTTI_INT32, tutti_reduction_of(TUTTI_SUM)));
  EXPECT(total == (rank % 2 == 0 ? 2 : 4));
  tutti_comm_free(part);
  EXPECT_OK(tutti_comm_split(comm, rank == 0 ? -1 : 0, 0, &part));
  EXPECT((part == NULL) == (rank == 0));
  tutti_comm_free(part);

  tutti_comm* copy = NULL;
  EXPECT_OK(tutti_comm_duplicate(comm, &copy));
  EXPECT(tutti_comm_rank(copy) == rank && tutti_comm_size(copy) == kRanks);
  EXPECT_OK(tutti_barrier(copy));
  tutti_comm_free(copy);
}

static void questions(tutti_comm* comm) {
  const int rank = tutti_comm_rank(comm);
  EXPECT(tutti_comm_size(comm) == kRanks && tutti_comm_local_size(comm) == kRanks);
  EXPECT(tutti_comm_local_rank(comm) == rank);
  const char* text = NULL;
  EXPECT_OK(tutti_comm_host(comm, kRanks - 1, &text));
  EXPECT(text[0] != '\0');
  EXPECT_OK(tutti_comm_transport(comm, (rank + 1) % kRanks, &text));
  EXPECT(strcmp(text, "loopback") == 0);
  EXPECT_OK(tutti_comm_algorithm(comm, TUTTI_BROADCAST, 1000, TUTTI_FLOAT16, &text));
  EXPECT(text[0] != '\0');
}

int main(void) {
  run_ranks(kRanks, all_calls);
  run_ranks(kRanks, in_place);
  run_ranks(kRanks, works);
  run_ranks(kRanks, parts);
  run_ranks(kRanks, questions);
  puts("every call does what it says");
  return 0;
}
