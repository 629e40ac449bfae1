// A call's arguments: what is refused, in which words, and what is known of the rest.
#include "runtime/operation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "runtime/last_checked.h"

namespace tutti::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr int kRanks = 4;
using Numbers = std::vector<std::int64_t>;

class OperationTest : public ::testing::Test {
 protected:
  Operation operation(Collective collective, std::int64_t count = 2) {
    return {.collective = collective, .send = send_.data(), .recv = recv_.data(), .count = count};
  }
  // With lists of blocks where the collective has some.
  Operation uneven(Collective collective, const Blocks& send, const Blocks& recv) {
    Operation made = operation(collective, 0);
    made.uneven = true;
    made.send_blocks = send;
    made.recv_blocks = recv;
    return made;
  }
  static void expect_refused(Operation operation, const std::string& text, int rank = 0) {
    const Status status = prepare(operation, rank, kRanks);
    EXPECT_EQ(name(status.code()), name(Code::invalid_argument));
    EXPECT_THAT(std::string(status.message()), StartsWith(std::string(name(operation.collective)) +
                                                          (operation.uneven ? "_v" : "")));
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
  static Operation expect_fine(Operation operation, int rank = 0) {
    const Status status = prepare(operation, rank, kRanks);
    EXPECT_TRUE(status.ok()) << status.message();
    return operation;
  }

  std::array<float, 64> send_{};
  std::array<float, 64> recv_{};
};

TEST_F(OperationTest, OperatorsAndFactorsMustSuitTheType) {
  Operation bits = operation(Collective::all_reduce);
  bits.reduction = ReduceOp::bit_xor;
  expect_refused(bits, "bit_xor has no meaning for float32; bitwise operators are for integers");
  Operation whole = operation(Collective::reduce);
  whole.reduction = Reduction::premultiplied_sum(3);
  expect_refused(whole,
                 "the factor of a premultiplied sum of float32 must be a floating-point number");
  Operation broken = operation(Collective::reduce);
  broken.type = DataType::int8;
  broken.reduction = Reduction::premultiplied_sum(0.5);
  expect_refused(broken, "the factor of a premultiplied sum of int8 must be an integer");
}

TEST_F(OperationTest, CountsAndOffsetsMustMakeSense) {
  const Numbers fine{1, 1, 1, 1};
  const Numbers negative{1, 1, -7, 1};
  const Numbers huge{1, kMost / 4, 1, 1};
  const Numbers far{0, 1, 2, kMost / 4};
  expect_refused(uneven(Collective::all_gather, {}, {negative}),
                 "counts[2] is -7; it must be 0 or");
  expect_refused(uneven(Collective::scatter, {fine, negative}, {}),
                 "offsets[2] is -7; it must be 0");
  expect_refused(
      uneven(Collective::gather, {}, {huge}),
      "block 1 (2305843009213693951 of float32 at 1) is more than an address space holds");
  expect_refused(
      uneven(Collective::all_to_all, {fine}, {fine, far}),
      "block 3 (1 of float32 at 2305843009213693951) is more than an address space holds");
}

TEST_F(OperationTest, ListsHaveAnEntryForEachRank) {
  const Numbers three{1, 1, 1};
  const Numbers four{1, 1, 1, 1};
  expect_refused(uneven(Collective::reduce_scatter, {three}, {}),
                 "send_blocks.counts has 3 entries; it must have one per rank, 4");
  expect_refused(uneven(Collective::all_gather, {}, {}),
                 "recv_blocks.counts has 0 entries; it must have one per rank, 4");
  expect_refused(uneven(Collective::all_to_all, {four}, {four, three}),
                 "recv_blocks.offsets has 3 entries; it must have one per rank, 4, or none");
}

TEST_F(OperationTest, EqualBlocksAreAsManyAsRanks) {
  for (const Collective kind : {Collective::all_gather, Collective::gather, Collective::scatter,
                                Collective::reduce_scatter, Collective::all_to_all}) {
    expect_refused(operation(kind, kMost / 8), "is more than an address space holds");
    expect_fine(operation(kind, 0));
    // They just do not reach what comes next.
    Operation beside = operation(kind, 2);
    const bool gathers = kind == Collective::all_gather || kind == Collective::gather;
    const bool scatters = kind == Collective::reduce_scatter || kind == Collective::scatter;
    beside.recv = send_.data() + (gathers ? 2 : 2 * kRanks);
    expect_fine(beside);
    beside.recv = send_.data() + (gathers ? 2 : 2 * kRanks) - 1;
    expect_refused(beside, "overlap; place the input as the call says for in place");
    beside.send = send_.data() + (scatters ? 2 : 2 * kRanks);
    beside.recv = send_.data();
    expect_fine(beside);
  }
}

TEST_F(OperationTest, CountsOfOverlappingBlocksMayAddUpToTooMany) {
  const Numbers nowhere(kRanks, 0);
  const Numbers huge(kRanks, kMost / 4);
  Operation bytes = uneven(Collective::gather, {}, {huge, nowhere});
  bytes.type = DataType::uint8;
  expect_fine(bytes, /*rank=*/1);
  const Numbers more(kRanks, kMost / 4 + 2);
  bytes.recv_blocks.counts = more;
  expect_refused(bytes, "the counts add up to more than an address space holds", /*rank=*/1);
  bytes.type = DataType::float32;
  const Numbers half(kRanks, kMost / 8);
  bytes.recv_blocks.counts = half;
  expect_refused(bytes, "the counts add up to more than an address space holds", /*rank=*/1);
}

TEST_F(OperationTest, InPlaceLiesWhereTheCallSays) {
  constexpr int kRank = 2;
  const auto in_place = [](const Operation& operation) {
    return expect_fine(operation, kRank).in_place;
  };
  for (const Collective kind : {Collective::all_reduce, Collective::all_to_all}) {
    Operation whole = operation(kind);
    EXPECT_FALSE(in_place(whole));
    whole.recv = send_.data();
    EXPECT_TRUE(in_place(whole));
  }
  Operation gathered = operation(Collective::all_gather, 3);
  gathered.send = recv_.data() + 3 * kRank;
  EXPECT_TRUE(in_place(gathered));
  Operation scattered = operation(Collective::reduce_scatter, 3);
  scattered.recv = send_.data() + 3 * kRank;
  EXPECT_TRUE(in_place(scattered));

  const Numbers counts{1, 2, 3, 4};
  const Numbers offsets{9, 5, 20, 0};
  Operation placed = uneven(Collective::all_gather, {}, {counts});
  placed.send = recv_.data() + 3;
  EXPECT_TRUE(in_place(placed));
  placed.recv_blocks.offsets = offsets;
  placed.send = recv_.data() + 20;
  EXPECT_TRUE(in_place(placed));
}

TEST_F(OperationTest, BlocksThatAreSwappedInPlaceAreEqual) {
  const Numbers sent{1, 2, 3, 4};
  const Numbers received{1, 2, 4, 3};
  Operation swap = uneven(Collective::all_to_all, {sent}, {received});
  swap.recv = send_.data();
  expect_refused(swap,
                 "send == recv, but block 2 has 3 elements at 3 to send and 4 at 3 to receive; in "
                 "place they must be equal");
  swap.recv_blocks.counts = sent;
  EXPECT_TRUE(expect_fine(swap).in_place);
}

TEST_F(OperationTest, BuffersThatARankDoesNotHaveAreForgotten) {
  const Operation root = expect_fine(operation(Collective::reduce), 0);
  EXPECT_EQ(root.recv, recv_.data());
  EXPECT_EQ(expect_fine(operation(Collective::reduce), 1).recv, nullptr);
  EXPECT_EQ(expect_fine(operation(Collective::scatter), 1).send, nullptr);
  EXPECT_EQ(expect_fine(operation(Collective::broadcast), 1).send, recv_.data());
}

// What was in order once is known, and nothing else.
TEST_F(OperationTest, WhatIsCalledAgainIsPreparedAlike) {
  for (const int rank : {0, 1}) {
    LastChecked last;
    for (const Collective kind : {Collective::all_reduce, Collective::scatter, Collective::gather,
                                  Collective::broadcast, Collective::all_gather}) {
      const Operation expected = expect_fine(operation(kind), rank);
      for (int again = 0; again < 3; ++again) {
        Operation made = operation(kind);
        ASSERT_TRUE(last.prepare(made, rank, kRanks).ok());
        EXPECT_EQ(made.send, expected.send);
        EXPECT_EQ(made.recv, expected.recv);
        EXPECT_EQ(made.in_place, expected.in_place);
      }
      Operation placed = operation(kind);
      placed.send = placed.recv;
      Operation known = placed;
      ASSERT_EQ(last.prepare(known, rank, kRanks).ok(), prepare(placed, rank, kRanks).ok());
      EXPECT_EQ(known.in_place, placed.in_place);
    }
  }
}

TEST_F(OperationTest, WhatDiffersFromTheLastCallIsChecked) {
  const auto refuses = [this](auto&& spoil) {
    LastChecked last;
    Operation fine = operation(Collective::reduce);
    EXPECT_TRUE(last.prepare(fine, 0, kRanks).ok());
    Operation spoilt = operation(Collective::reduce);
    spoil(spoilt);
    const bool refused = !last.prepare(spoilt, 0, kRanks).ok();
    // And what was refused is not in order the second time.
    Operation again = operation(Collective::reduce);
    spoil(again);
    return refused && !last.prepare(again, 0, kRanks).ok();
  };
  EXPECT_TRUE(refuses([](Operation& o) { o.count = -1; }));
  EXPECT_TRUE(refuses([](Operation& o) { o.root = kRanks; }));
  EXPECT_TRUE(refuses([](Operation& o) { o.send = nullptr; }));
  EXPECT_TRUE(refuses([](Operation& o) { o.recv = nullptr; }));
  EXPECT_TRUE(refuses([](Operation& o) { o.reduction = ReduceOp::bit_and; }));
  EXPECT_TRUE(refuses([](Operation& o) { o.reduction = Reduction::premultiplied_sum(2); }));
  EXPECT_TRUE(refuses([](Operation& o) { o.type = static_cast<DataType>(kDataTypeCount); }));
  EXPECT_TRUE(refuses([](Operation& o) {
    o.collective = Collective::all_to_all;
    o.send = static_cast<float*>(o.recv) + 1;
  }));
  EXPECT_TRUE(refuses([](Operation& o) {
    o.collective = Collective::all_gather;
    o.uneven = true;
  }));
}

TEST_F(OperationTest, ListsLikeThoseOfTheLastCallGiveTheSame) {
  const Numbers counts{1, 2, 3, 4};
  const Numbers offsets{0, 2, 4, 8};
  for (const Collective kind : {Collective::all_gather, Collective::gather}) {
    for (int rank = 0; rank < kRanks; ++rank) {
      LastChecked last;
      for (const bool placed : {true, false, false, true}) {
        const Blocks blocks = placed ? Blocks{counts, offsets} : Blocks{counts};
        const Operation expected = expect_fine(uneven(kind, {}, blocks), rank);
        for (int again = 0; again < 2; ++again) {
          Operation made = uneven(kind, {}, blocks);
          ASSERT_TRUE(last.prepare(made, rank, kRanks).ok());
          EXPECT_EQ(made.send, expected.send);
          EXPECT_EQ(made.recv, expected.recv);
          EXPECT_EQ(made.count, expected.count);
          EXPECT_EQ(made.in_place, expected.in_place);
        }
      }
    }
  }
}

// What was checked may differ in one number of any list, or in whose list it is.
TEST_F(OperationTest, ListsThatDifferInOneNumberAreChecked) {
  const Numbers counts{1, 1, 1, 1};
  const Numbers offsets{0, 1, 2, 3};
  for (int list = 0; list < 4; ++list) {
    for (std::size_t at = 0; at < counts.size(); ++at) {
      LastChecked last;
      Operation fine = uneven(Collective::all_to_all, {counts, offsets}, {counts, offsets});
      ASSERT_TRUE(last.prepare(fine, 0, kRanks).ok());
      Numbers lists[4] = {counts, offsets, counts, offsets};
      lists[list][at] = -1;
      Operation made = uneven(Collective::all_to_all, {lists[0], lists[1]}, {lists[2], lists[3]});
      EXPECT_FALSE(last.prepare(made, 0, kRanks).ok()) << "list " << list << " at " << at;
    }
  }
}

TEST_F(OperationTest, ListsMayHaveChangedByTheNextCall) {
  LastChecked last;
  Numbers counts{1, 2, 3, 4};
  Operation made = uneven(Collective::all_gather, {}, {counts});
  ASSERT_TRUE(last.prepare(made, 0, kRanks).ok());
  EXPECT_EQ(made.count, 10);
  counts[2] = -1;
  made = uneven(Collective::all_gather, {}, {counts});
  EXPECT_FALSE(last.prepare(made, 0, kRanks).ok());
}

}  // namespace
}  // namespace tutti::runtime
