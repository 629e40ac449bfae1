#include "mpi/benchmark.h"

#include <mpi.h>

#include "base/try.h"

namespace tutti::perf {

MpiBenchmark::MpiBenchmark(const Counterpart& counterpart)
    : counterpart_(counterpart),
      original_(counterpart.benchmark()),
      program_("mpi_perf --collective " + std::string(counterpart.name)) {}

Layout MpiBenchmark::layout(const Shape& shape, int rank, int ranks) const {
  Layout layout = original_.layout(shape, rank, ranks);
  // In place MPI leaves the result at the start of the buffer, not where the rank's block was.
  if (collective() == Collective::reduce_scatter) layout.recv_place = 0;
  return layout;
}

std::string MpiBenchmark::algorithm(const Communicator&, const Shape&) const {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string_view version(text, static_cast<std::size_t>(length));
  return std::string(version.substr(0, version.find_first_of(",\n")));
}

Status MpiBenchmark::run(Communicator& communicator, const void* send, void* recv,
                         const Shape& shape) const {
  const Operands operands{send, recv, shape, communicator.rank(), communicator.size(), original_};
  TUTTI_TRY(check_supported(operands));
  return counterpart_.call(operands);
}

Status MpiBenchmark::barrier(Communicator&) const {
  MPI_Barrier(MPI_COMM_WORLD);
  return {};
}

}  // namespace tutti::perf
