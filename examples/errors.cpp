// What happens when something goes wrong: a call that makes no sense, calls of different ranks that
// do not match, and a rank that gives up. Needs two ranks or more.
#include <cstdio>
#include <vector>

#include "must.h"
#include "tutti/communicator.h"

namespace {

constexpr auto kFloat = tutti::DataType::float32;
constexpr auto kSum = tutti::ReduceOp::sum;

void report(const tutti::Communicator& comm, const char* attempt, const tutti::Status& status) {
  std::printf("rank %d, %s: %.*s: %.*s\n", comm.rank(), attempt,
              static_cast<int>(name(status.code()).size()), name(status.code()).data(),
              static_cast<int>(status.message().size()), status.message().data());
}

// Arguments are checked before anything is sent; the communicator stays usable.
void invalid_argument(tutti::Communicator& comm) {
  float number = 1;
  report(comm, "a negative count", comm.all_reduce(&number, &number, -1, kFloat, kSum));
  must(comm.all_reduce(&number, &number, 1, kFloat, kSum));
}

// Every rank is told who called what. The communicator has ended, its duplicates have not.
void mismatch(tutti::Communicator comm) {
  std::vector<float> numbers(100);
  const int count = comm.rank() == 0 ? 100 : 99;
  report(comm, "different counts",
         comm.all_reduce(numbers.data(), numbers.data(), count, kFloat, kSum));
}

// A rank that cannot go on frees the others from waiting for it.
void give_up(tutti::Communicator comm) {
  if (comm.rank() == comm.size() - 1) {
    comm.abort();
    report(comm, "after its abort()", comm.status());
  } else {
    report(comm, "waiting", comm.barrier());
  }
}

}  // namespace

int main() {
  auto world = must(tutti::Communicator::create());
  if (world.size() < 2) {
    std::printf("start more than one rank: tutti run -n 2 -- errors\n");
    return 1;
  }
  invalid_argument(world);
  mismatch(must(world.duplicate()));
  give_up(must(world.duplicate()));
  must(world.barrier());
  std::printf("rank %d: the first communicator still works\n", world.rank());
  return 0;
}
