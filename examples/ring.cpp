// Point to point: a number travels around the ring of ranks, then all ranks exchange the edges of
// a field with both neighbours at once, as a simulation does in every step. Needs two ranks or
// more.
#include <array>
#include <cstdio>

#include "must.h"
#include "tutti/communicator.h"

namespace {

// Every rank adds its own rank to what comes along.
void pass_around(tutti::Communicator& comm, int next, int previous) {
  constexpr auto kInt = tutti::DataType::int32;
  int sum = 0;
  if (comm.rank() > 0) must(comm.recv(&sum, 1, kInt, previous));
  sum += comm.rank();
  must(comm.send(&sum, 1, kInt, next));
  if (comm.rank() == 0) {
    must(comm.recv(&sum, 1, kInt, previous));
    std::printf("the number came back as %d\n", sum);
  }
}

// The cells of one rank, between copies of the neighbours' nearest ones.
constexpr std::size_t kCells = 4;
using Field = std::array<double, kCells + 2>;

// In a group nobody waits for another's turn. Only what goes to one peer keeps its order: of two
// ranks, each is the other's neighbour on both sides, and first receives what is sent first.
void exchange_edges(tutti::Communicator& comm, Field& field, int next, int previous) {
  constexpr auto kDouble = tutti::DataType::float64;
  must(comm.group([&] {
    // A call's error is the group's too.
    (void)comm.send(&field[1], 1, kDouble, previous);
    (void)comm.send(&field[kCells], 1, kDouble, next);
    (void)comm.recv(&field[kCells + 1], 1, kDouble, next);
    (void)comm.recv(&field[0], 1, kDouble, previous);
  }));
}

}  // namespace

int main() {
  auto comm = must(tutti::Communicator::create());
  if (comm.size() < 2) {
    std::printf("start more than one rank: tutti run -n 2 -- ring\n");
    return 1;
  }
  const int next = (comm.rank() + 1) % comm.size();
  const int previous = (comm.rank() + comm.size() - 1) % comm.size();

  pass_around(comm, next, previous);

  Field field{};
  for (std::size_t i = 1; i <= kCells; ++i) field[i] = comm.rank() + 0.1 * static_cast<double>(i);
  exchange_edges(comm, field, next, previous);
  std::printf("rank %d: %.1f | %.1f %.1f %.1f %.1f | %.1f\n", comm.rank(), field[0], field[1],
              field[2], field[3], field[4], field[5]);
  return 0;
}
