// A tour of the collectives. Rank r has the numbers 10 r, 10 r + 1, ...; rank 0 prints what each
// collective gives it.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "must.h"
#include "tutti/communicator.h"

namespace {

using Numbers = std::vector<int>;
constexpr auto kInt = tutti::DataType::int32;

// Prints the result on rank 0.
void show(const tutti::Communicator& comm, const char* call, const Numbers& result) {
  if (comm.rank() != 0) return;
  std::printf("%-16s", call);
  for (const int number : result) std::printf(" %d", number);
  std::printf("\n");
}

}  // namespace

int main() {
  auto comm = must(tutti::Communicator::create());
  const auto n = static_cast<std::size_t>(comm.size());
  Numbers mine(n);
  for (std::size_t i = 0; i < n; ++i) mine[i] = 10 * comm.rank() + static_cast<int>(i);
  show(comm, "rank 0 has", mine);

  Numbers one(1);
  Numbers all(n);
  must(comm.all_reduce(mine.data(), all.data(), comm.size(), kInt, tutti::ReduceOp::sum));
  show(comm, "all_reduce", all);
  must(comm.reduce(mine.data(), all.data(), comm.size(), kInt, tutti::ReduceOp::max, 0));
  show(comm, "reduce (max)", all);
  must(comm.broadcast(mine.data(), all.data(), comm.size(), kInt, comm.size() - 1));
  show(comm, "broadcast", all);

  // One number of each rank, or for each rank.
  must(comm.all_gather(mine.data(), all.data(), 1, kInt));
  show(comm, "all_gather", all);
  must(comm.gather(mine.data(), all.data(), 1, kInt, 0));
  show(comm, "gather", all);
  must(comm.all_to_all(mine.data(), all.data(), 1, kInt));
  show(comm, "all_to_all", all);
  must(comm.reduce_scatter(mine.data(), one.data(), 1, kInt, tutti::ReduceOp::sum));
  show(comm, "reduce_scatter", one);
  must(comm.scatter(mine.data(), one.data(), 1, kInt, comm.size() - 1));
  show(comm, "scatter", one);

  // Blocks of different sizes: r + 1 numbers of rank r.
  std::vector<std::int64_t> counts(n);
  for (std::size_t r = 0; r < n; ++r) counts[r] = static_cast<std::int64_t>(r) + 1;
  Numbers blocks(n * (n + 1) / 2);
  must(comm.all_gather_v(mine.data(), blocks.data(), {.counts = counts}, kInt));
  show(comm, "all_gather_v", blocks);

  must(comm.barrier());
  if (comm.rank() == 0) std::printf("every rank has come to the barrier\n");
  return 0;
}
