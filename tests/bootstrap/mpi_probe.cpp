// Run by mpirun in launch_test: all-gathers over an MPI communicator, then leaves one rank out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tutti/mpi.h"

namespace {

tutti::Status gather(tutti::Bootstrap& ranks, std::vector<int>& all) {
  const int mine = ranks.rank() * 10;
  return ranks.all_gather(std::as_bytes(std::span(&mine, 1)),
                          std::as_writable_bytes(std::span(all)));
}

}  // namespace

int main(int argc, char** argv) {
  const auto early = tutti::MpiBootstrap::create(MPI_COMM_WORLD);
  MPI_Init(&argc, &argv);
  {
    const auto none = tutti::MpiBootstrap::create(MPI_COMM_NULL);
    const auto ranks = tutti::MpiBootstrap::create(MPI_COMM_WORLD);
    if (early.ok() || none.ok() || !ranks.ok()) return 1;
    std::vector<int> all(static_cast<std::size_t>((*ranks)->size()));
    const tutti::Status status = gather(**ranks, all);
    if (!status.ok()) return 2;
    fmt::print("{}", fmt::format("{} | {} | rank {} gathered {}\n", early.status().message(),
                                 none.status().message(), (*ranks)->rank(), fmt::join(all, " ")));

    tutti::Config config;
    config.connect_timeout_ms = 50;
    const auto hasty = tutti::MpiBootstrap::create(MPI_COMM_WORLD, config);
    if ((*hasty)->rank() == 0) {
      const tutti::Status late = gather(**hasty, all);
      fmt::print("{}\n", late.message());
      if (gather(**hasty, all).message() != late.message()) return 3;
    }
    // The last one comes only now; the request that rank 0 gave up completes, and both can end.
    MPI_Barrier(MPI_COMM_WORLD);
    if ((*hasty)->rank() != 0 && !gather(**hasty, all).ok()) return 4;
  }
  MPI_Finalize();
  return 0;
}
