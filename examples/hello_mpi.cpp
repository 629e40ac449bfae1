// The same sum in a program that uses MPI: its communicator tells the ranks apart, so the program
// may be started in any way that MPI knows. Start it with mpirun -n 4.
#include "tutti/mpi.h"

#include <mpi.h>

#include <cstdint>
#include <cstdio>

#include "tutti/communicator.h"

namespace {

tutti::Status greet() {
  auto bootstrap = tutti::MpiBootstrap::create(MPI_COMM_WORLD);
  if (!bootstrap.ok()) return bootstrap.status();
  auto communicator = tutti::Communicator::create(**bootstrap);
  if (!communicator.ok()) return communicator.status();

  std::int64_t sum = communicator->rank();
  tutti::Status status =
      communicator->all_reduce(&sum, &sum, 1, tutti::DataType::int64, tutti::ReduceOp::sum);
  if (status.ok()) {
    std::printf("rank %d of %d: the ranks add up to %lld\n", communicator->rank(),
                communicator->size(), static_cast<long long>(sum));
  }
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const tutti::Status status = greet();
  if (!status.ok()) {
    std::fprintf(stderr, "hello_mpi: %.*s\n", static_cast<int>(status.message().size()),
                 status.message().data());
  }
  MPI_Finalize();
  return status.ok() ? 0 : 1;
}
