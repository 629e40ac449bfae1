// A program of somebody else: two ranks in one process sum three numbers.

#include <cstdio>
#include <thread>
#include <vector>

#include "tutti/communicator.h"

namespace {

bool run(tutti::Bootstrap& bootstrap) {
  auto communicator = tutti::Communicator::create(bootstrap);
  if (!communicator.ok()) {
    std::fprintf(stderr, "%s\n", communicator.status().message().data());
    return false;
  }
  const float send[3] = {1.0F, 2.0F, 3.0F};
  float recv[3] = {};
  const tutti::Status status =
      communicator->all_reduce(send, recv, 3, tutti::DataType::float32, tutti::ReduceOp::sum);
  return status.ok() && recv[0] == 2.0F && recv[1] == 4.0F && recv[2] == 6.0F;
}

}  // namespace

int main() {
  auto ranks = tutti::bootstrap_in_process(2);
  bool other_ok = false;
  std::thread other([&] { other_ok = run(*ranks[1]); });
  const bool ok = run(*ranks[0]);
  other.join();
  std::puts(ok && other_ok ? "2 ranks agree" : "wrong result");
  return ok && other_ok ? 0 : 1;
}
