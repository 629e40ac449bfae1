// Two kinds of memory that large messages need not be copied out of: what the communicator
// allocates, which ranks of one host read and write where it lies and RDMA devices send from, and
// memory of one's own that RDMA devices are told of once. Both are optional.
#include <cstdio>
#include <vector>

#include "must.h"
#include "tutti/communicator.h"

namespace {

constexpr std::size_t kFloats = 1 << 20;

float sum(tutti::Communicator& comm, float* weights) {
  must(comm.all_reduce(weights, weights, kFloats, tutti::DataType::float32, tutti::ReduceOp::sum));
  return weights[kFloats - 1];
}

}  // namespace

int main() {
  auto comm = must(tutti::Communicator::create());
  const auto mine = static_cast<float>(comm.rank());

  const tutti::Memory allocated = must(comm.allocate(kFloats * sizeof(float)));
  for (float& one : allocated.as<float>()) one = mine;
  const float first = sum(comm, allocated.as<float>().data());

  std::vector<float> own(kFloats, mine);
  // Ends before the vector does: it is declared after it.
  const tutti::RegisteredMemory registered =
      must(comm.register_memory(own.data(), own.size() * sizeof(float)));
  const float second = sum(comm, own.data());

  std::printf("rank %d: sums to %g in allocated memory, to %g in registered memory\n", comm.rank(),
              first, second);
  return first == second ? 0 : 1;
}
