// How finely an operation is cut.
#include "runtime/tiling.h"

#include <gtest/gtest.h>

#include "collectives/algorithms.h"
#include "plan/passes.h"

namespace tutti::runtime {
namespace {

std::int64_t tiles_of(std::int64_t bytes, const Tiling::Grain& grain) {
  const plan::Shape shape{.kind = Collective::all_reduce, .ranks = 2};
  const auto* ring = collectives::find(Collective::all_reduce, "ring");
  const plan::Program program = plan::build(ring->build, 0, shape);
  const Operation operation{
      .collective = Collective::all_reduce, .count = bytes / 4, .type = DataType::float32};
  Tiling tiling;
  tiling.begin(operation, program, 0, 2, grain);
  return tiling.tiles();
}

TEST(Tiling, CutsForLanesWhatIsWorthIt) {
  constexpr std::int64_t kKiB = 1024;
  const Tiling::Grain usual{.message_bytes_max = 128 * kKiB, .lanes = 4};
  const Tiling::Grain coarse{
      .message_bytes_max = 128 * kKiB, .tile_bytes_min = 256 * kKiB, .lanes = 4};
  EXPECT_EQ(tiles_of(16 * kKiB, usual), 1);
  EXPECT_EQ(tiles_of(64 * kKiB, usual), 2);
  EXPECT_EQ(tiles_of(256 * kKiB, usual), 8) << "two for each lane";
  EXPECT_EQ(tiles_of(256 * kKiB, coarse), 1) << "two messages of 128 KiB each way";
  EXPECT_EQ(tiles_of(1024 * kKiB, coarse), 4);
  EXPECT_EQ(tiles_of(1025 * kKiB, coarse), 5) << "no message is longer than a port takes";
}

}  // namespace
}  // namespace tutti::runtime
