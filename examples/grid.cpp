// Communicators out of a communicator: the ranks form a grid, and sums run along its rows and its
// columns. So do the ranks of tensor-parallel and data-parallel groups.
#include <cstdio>

#include "must.h"
#include "tutti/communicator.h"

namespace {

// The most nearly square grid.
int columns_for(int ranks) {
  int columns = 1;
  for (int divisor = 1; divisor * divisor <= ranks; ++divisor) {
    if (ranks % divisor == 0) columns = ranks / divisor;
  }
  return columns;
}

int sum(tutti::Communicator& comm, int number) {
  must(comm.all_reduce(&number, &number, 1, tutti::DataType::int32, tutti::ReduceOp::sum));
  return number;
}

}  // namespace

int main() {
  auto world = must(tutti::Communicator::create());
  const int columns = columns_for(world.size());
  const int row = world.rank() / columns;
  const int column = world.rank() % columns;

  // The color says which ranks belong together, the key in which order. Nobody passes a negative
  // color here, so that every rank gets a communicator.
  auto along_row = *must(world.split(row, column));
  auto along_column = *must(world.split(column, row));

  std::printf("rank %d is in row %d and column %d: the row adds up to %d, the column to %d\n",
              world.rank(), row, column, sum(along_row, world.rank()),
              sum(along_column, world.rank()));
  return 0;
}
