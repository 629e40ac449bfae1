// The smallest program: every rank contributes its number, and all learn the sum. Start it with
// `tutti run -n 4 -- hello`, mpirun, srun or torchrun; the library finds the others by itself.
#include <cstdint>
#include <cstdio>

#include "tutti/communicator.h"

namespace {

int fail(const tutti::Status& error) {
  std::fprintf(stderr, "hello: %.*s\n", static_cast<int>(error.message().size()),
               error.message().data());
  return 1;
}

}  // namespace

int main() {
  auto communicator = tutti::Communicator::create();
  if (!communicator.ok()) return fail(communicator.status());

  std::int64_t sum = communicator->rank();
  const tutti::Status status =
      communicator->all_reduce(&sum, &sum, 1, tutti::DataType::int64, tutti::ReduceOp::sum);
  if (!status.ok()) return fail(status);

  std::printf("rank %d of %d: the ranks add up to %lld\n", communicator->rank(),
              communicator->size(), static_cast<long long>(sum));
  return 0;
}
