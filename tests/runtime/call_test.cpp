#include "runtime/call.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

namespace tutti::runtime {
namespace {

TEST(Call, EveryFieldMakesAnotherCall) {
  const Call call{.sequence = 57, .count = 1024};
  const std::vector<std::function<void(Call&)>> changes = {
      [](Call& c) { c.sequence = 58; },
      [](Call& c) { c.collective = Collective::reduce_scatter; },
      [](Call& c) { c.type = DataType::int32; },
      [](Call& c) { c.op = ReduceOp::max; },
      [](Call& c) { c.premultiplied = true; },
      [](Call& c) { c.uneven = true; },
      [](Call& c) { c.root = 1; },
      [](Call& c) { c.count = 1025; },
      [](Call& c) { c.counts_hash = 1; },
  };
  std::set<std::uint32_t> fingerprints = {fingerprint(call)};
  for (const auto& change : changes) {
    Call other = call;
    change(other);
    EXPECT_NE(other, call);
    fingerprints.insert(fingerprint(other));
  }
  EXPECT_EQ(fingerprints.size(), changes.size() + 1);
  EXPECT_EQ(fingerprint(call), fingerprint(Call(call)));
}

TEST(Call, ItsHistoryTellsWhatCameBefore) {
  const Call first{.sequence = 1, .count = 4};
  const Call other{.sequence = 1, .count = 5};
  Call second{.sequence = 2, .count = 6};
  second.history = chained(chained(0, first), second);
  Call after_other = second;
  after_other.history = chained(chained(0, other), second);
  EXPECT_NE(second.history, after_other.history);
  EXPECT_NE(second, after_other);
  EXPECT_TRUE(same_call(second, after_other));
  EXPECT_FALSE(same_call(first, other));
}

TEST(Call, FingerprintsOfManyCallsDiffer) {
  std::set<std::uint32_t> seen;
  for (std::uint64_t sequence = 1; sequence <= 100; ++sequence) {
    for (std::int64_t count = 0; count < 100; ++count) {
      seen.insert(fingerprint({.sequence = sequence, .count = count}));
    }
  }
  EXPECT_EQ(seen.count(0), 0U);
  // 10,000 of 2^32 values: about 0.01 collisions are expected.
  EXPECT_GE(seen.size(), 9'999U);
}

TEST(Call, IsDescribedAsItWasCalled) {
  EXPECT_EQ(describe({.count = 1024}), "all_reduce(float32, 1024, sum)");
  EXPECT_EQ(describe({.premultiplied = true, .count = 2}),
            "all_reduce(float32, 2, premultiplied sum)");
  EXPECT_EQ(
      describe(
          {.collective = Collective::broadcast, .type = DataType::int8, .root = 2, .count = 16}),
      "broadcast(int8, 16, root 2)");
  EXPECT_EQ(
      describe({.collective = Collective::reduce, .op = ReduceOp::max, .root = 1, .count = 3}),
      "reduce(float32, 3, max, root 1)");
  EXPECT_EQ(describe({.collective = Collective::all_gather,
                      .type = DataType::int32,
                      .uneven = true,
                      .count = 10}),
            "all_gather_v(int32, 10 in all)");
  EXPECT_EQ(describe({.collective = Collective::all_to_all, .uneven = true}),
            "all_to_all_v(float32)");
  EXPECT_EQ(describe({.collective = Collective::barrier, .count = 1}), "barrier()");
}

}  // namespace
}  // namespace tutti::runtime
