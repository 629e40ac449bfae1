// The slot ring and its links, by one thread: layout, limits, wrapping.
#include "transport/slot_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

#include "base/error.h"
#include "support/values.h"
#include "transport/loopback/loopback.h"
#include "transport/pattern.h"
#include "transport/segment.h"
#include "transport/shm/shm.h"
#include "transport/slot_link.h"

namespace tutti::transport {
namespace {

// Two ranks of one process without doorbells, seen from rank `local`; counts the rings.
class QuietNode final : public Node {
 public:
  QuietNode(int local, std::shared_ptr<Segment> segment, std::size_t link_bytes)
      : local_(local), segment_(std::move(segment)), link_bytes_(link_bytes) {}
  const std::vector<int>& ranks() const override { return ranks_; }
  int local_rank() const override { return local_; }
  int local_rank_of(int rank) const override { return rank < 2 ? rank : -1; }
  bool in_process() const override { return true; }
  const std::string& reason() const override { return reason_; }
  Result<std::span<std::byte>> engine_area(int) override { return std::span<std::byte>(); }
  Result<std::span<std::byte>> link_area(int from, int to) override {
    return segment_->piece(static_cast<std::size_t>(2 * from + to) * link_bytes_, link_bytes_);
  }
  const std::shared_ptr<Heap>& heap() const override { return heap_; }
  void ring(int local_rank) noexcept override { rings[static_cast<std::size_t>(local_rank)]++; }
  void ring_others() noexcept override {}
  void ring_self() noexcept override {}
  void prepare_park() noexcept override {}
  void park(std::span<pollfd>, int) noexcept override {}
  void unpark() noexcept override {}

  std::array<int, 2> rings{};

 private:
  std::vector<int> ranks_{0, 1};
  int local_;
  std::string reason_;
  std::shared_ptr<Heap> heap_;
  std::shared_ptr<Segment> segment_;
  std::size_t link_bytes_;
};

class SlotRingTest : public ::testing::Test {
 protected:
  static constexpr Caps kCaps{.slot_bytes = 200, .slots = 3};
  static constexpr std::size_t kLinkBytes = link_area_bytes(2, kCaps);

  std::unique_ptr<Link> connect(Node& node, int peer) {
    auto link = connect_slots(node, peer, 2, kCaps);
    EXPECT_TRUE(link.ok()) << link.status().message();
    return *std::move(link);
  }

  std::shared_ptr<Segment> segment_ = make_process_segment();
  QuietNode node0_{0, segment_, kLinkBytes};
  QuietNode node1_{1, segment_, kLinkBytes};
};

TEST_F(SlotRingTest, TheDefaultsFitTheBudget) {
  EXPECT_EQ(kSlotCaps.slot_bytes, 131072U);
  EXPECT_EQ(kSlotCaps.slots, 4);
  EXPECT_EQ(link_area_bytes(kSlotLanes) % 4096, 0U);
  EXPECT_LE(2 * link_area_bytes(kSlotLanes), kPeerBytesMax);
}

TEST_F(SlotRingTest, SmallMessagesTravelInTheLineThatIsPolled) {
  const auto first = connect(node0_, 1);
  SendPort& port = first->send_port(0);
  const auto area = *node0_.link_area(0, 1);
  const RingView ring = RingView::of(area, 0, kCaps);
  EXPECT_EQ(port.reserve(kInlineBytes).data(), ring.line(0)->payload);
  EXPECT_EQ(port.reserve(0).data(), ring.line(0)->payload);
  const auto* note = reinterpret_cast<const std::byte*>(ring.line(0) + 1);
  EXPECT_EQ(port.reserve(kInlineBytes + 1).data(), note);
  EXPECT_EQ(port.reserve(note_bytes(kCaps)).data(), note);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(note) % kCacheLine, 0U);
  EXPECT_EQ(port.reserve(note_bytes(kCaps) + 1).data(), ring.slots);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ring.slots) % kCacheLine, 0U);
}

TEST_F(SlotRingTest, CommitRingsTheReceiverAndReleaseTheSender) {
  const auto first = connect(node0_, 1);
  const auto second = connect(node1_, 0);
  ASSERT_NE(first->send_port(1).reserve(8).data(), nullptr);
  EXPECT_EQ(node0_.rings[1], 0);
  first->send_port(1).commit(8, 0);
  EXPECT_EQ(node0_.rings[1], 1);
  ASSERT_NE(second->recv_port(1).peek().data(), nullptr);
  EXPECT_EQ(node1_.rings[0], 0);
  second->recv_port(1).release();
  EXPECT_EQ(node1_.rings[0], 1);
}

// False when there is no credit.
bool send_pattern(SendPort& port, std::size_t bytes, std::uint64_t key) {
  const auto window = port.reserve(bytes);
  if (window.data() == nullptr) return false;
  fill_pattern(window, key);
  port.commit(bytes, pattern_tag(key));
  return true;
}

void expect_pattern(RecvPort& port, std::size_t bytes, std::uint64_t key) {
  const auto message = port.peek();
  ASSERT_NE(message.data(), nullptr);
  EXPECT_EQ(message.size(), bytes);
  EXPECT_EQ(find_damage(message, key), -1);
  EXPECT_EQ(port.tag(), pattern_tag(key));
  port.release();
}

// A window that is refused leaves the one before as it was.
TEST_F(SlotRingTest, HasAsManyCreditsAsSlotsAndMoreOfSmallMessages) {
  const auto first = connect(node0_, 1);
  const auto second = connect(node1_, 0);
  SendPort& out = first->send_port(0);
  RecvPort& in = second->recv_port(0);
  // One more than slots, where none is left unused at the end of their memory.
  std::uint64_t sent = 0;
  for (; sent <= static_cast<std::uint64_t>(kCaps.slots); ++sent) {
    ASSERT_TRUE(send_pattern(out, 200, sent));
  }
  const auto small = out.reserve(4);
  ASSERT_NE(small.data(), nullptr);
  fill_pattern(small, sent);
  EXPECT_EQ(out.reserve(200).data(), nullptr);
  EXPECT_EQ(out.reserve(4).data(), small.data());
  out.commit(4, pattern_tag(sent));
  ASSERT_NE(in.peek().data(), nullptr);
  EXPECT_EQ(out.reserve(200).data(), nullptr) << "peeking gives no credit";
  expect_pattern(in, 200, 0);
  EXPECT_NE(out.reserve(200).data(), nullptr);
  for (std::uint64_t key = 1; key < sent; ++key) expect_pattern(in, 200, key);
  expect_pattern(in, 4, sent);
}

TEST_F(SlotRingTest, ShorterMessagesThanSlotsAreMore) {
  const auto first = connect(node0_, 1);
  const auto second = connect(node1_, 0);
  SendPort& out = first->send_port(0);
  RecvPort& in = second->recv_port(0);
  constexpr std::size_t kHalf = 100;  // two units of four
  static_assert(unit_bytes(kCaps) == 64 && slots_bytes(kCaps) == 16 * 64);
  for (std::uint64_t key = 0; key < 8; ++key) ASSERT_TRUE(send_pattern(out, kHalf, key)) << key;
  EXPECT_FALSE(send_pattern(out, kHalf, 8));
  expect_pattern(in, kHalf, 0);
  EXPECT_TRUE(send_pattern(out, kHalf, 8));
  EXPECT_FALSE(send_pattern(out, kHalf, 9));
  for (std::uint64_t key = 1; key < 9; ++key) expect_pattern(in, kHalf, key);
}

// However few units are left before the end, as many messages as slots get ahead of the receiver.
TEST_F(SlotRingTest, NoPlaceInTheRingCostsACredit) {
  const auto first = connect(node0_, 1);
  const auto second = connect(node1_, 0);
  SendPort& out = first->send_port(0);
  RecvPort& in = second->recv_port(0);
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  for (int round = 0; round < 40; ++round) {
    const std::size_t shift = round % 3 == 0 ? 65 : 129;  // by two units or three
    ASSERT_TRUE(send_pattern(out, shift, sent++));
    expect_pattern(in, shift, received++);
    for (int i = 0; i < kCaps.slots; ++i) ASSERT_TRUE(send_pattern(out, 200, sent++)) << round;
    for (int i = 0; i < kCaps.slots; ++i) expect_pattern(in, 200, received++);
  }
}

TEST_F(SlotRingTest, AWindowThatGrowsPastTheEndKeepsWhatWasWritten) {
  const auto first = connect(node0_, 1);
  const auto second = connect(node1_, 0);
  SendPort& out = first->send_port(0);
  RecvPort& in = second->recv_port(0);
  for (std::uint64_t key = 0; key < 7; ++key) {
    ASSERT_TRUE(send_pattern(out, 100, key));
    expect_pattern(in, 100, key);
  }
  const auto window = out.reserve(100);
  fill_pattern(window, 7);
  const auto grown = out.reserve(200);
  ASSERT_NE(grown.data(), nullptr);
  EXPECT_LT(grown.data(), window.data()) << "there are two units left, and it needs four";
  EXPECT_EQ(find_damage(grown.first(100), 7), -1);
  fill_pattern(grown, 8);
  EXPECT_EQ(out.reserve(100).data(), grown.data());
  out.commit(200, pattern_tag(8));
  expect_pattern(in, 200, 8);
}

TEST_F(SlotRingTest, UnitsAreWholeLinesAndPartsOfASlot) {
  EXPECT_EQ(unit_bytes(kSlotCaps), 16384U);
  for (std::size_t bytes = 1; bytes < 2000; ++bytes) {
    const Caps caps{.slot_bytes = bytes, .slots = 1};
    EXPECT_EQ(unit_bytes(caps) % kCacheLine, 0U) << bytes;
    EXPECT_EQ(slot_stride(caps) % unit_bytes(caps), 0U) << bytes;
  }
}

TEST_F(SlotRingTest, MessagesThatNeedNoSlotGoOnUntilTheLinesAreFull) {
  const auto first = connect(node0_, 1);
  const auto second = connect(node1_, 0);
  SendPort& out = first->send_port(0);
  RecvPort& in = second->recv_port(0);
  for (std::uint64_t i = 0; i < kRingLines; ++i) ASSERT_TRUE(send_pattern(out, 2 * i, i)) << i;
  EXPECT_EQ(out.reserve(0).data(), nullptr);
  for (std::uint64_t i = 0; i < kRingLines; ++i) {
    EXPECT_FALSE(out.released(i + 1));
    expect_pattern(in, 2 * i, i);
    EXPECT_TRUE(out.released(i + 1));
  }
  EXPECT_EQ(in.peek().data(), nullptr);
  EXPECT_NE(out.reserve(0).data(), nullptr);
}

// A slot is free once the message that was in it is released, however many came between.
TEST_F(SlotRingTest, LinesAndSlotsAreUsedAgainEachInTheirTurn) {
  const auto first = connect(node0_, 1);
  const auto second = connect(node1_, 0);
  SendPort& out = first->send_port(0);
  RecvPort& in = second->recv_port(0);
  std::mt19937_64 random(test::test_seed());
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  // In lines, notes and slots, and where one becomes the other.
  static constexpr std::size_t kSizes[] = {0, 48, 49, 64, 65, 200};
  const auto size_of_message = [](std::uint64_t i) { return kSizes[i * 2654435761U / 1024 % 6]; };
  while (received < 20'000) {
    for (std::uint64_t burst = random() % 40; burst > 0; --burst) {
      if (!send_pattern(out, size_of_message(sent), sent)) break;
      ++sent;
    }
    for (std::uint64_t burst = random() % 40; burst > 0 && received < sent; --burst) {
      expect_pattern(in, size_of_message(received), received);
      ASSERT_FALSE(HasFailure());
      ++received;
    }
  }
}

TEST_F(SlotRingTest, ManyRoundsThroughTheSameSlots) {
  const auto first = connect(node0_, 1);
  const auto second = connect(node1_, 0);
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(send_pattern(first->send_port(0), i % 201, i));
    expect_pattern(second->recv_port(0), i % 201, i);
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(SlotRingTest, APairIsJoinedOnce) {
  auto first = connect(node0_, 1);
  first.reset();
  const auto again = connect_slots(node0_, 1, 2, kCaps);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.status().code(), Code::internal);
  EXPECT_EQ(again.status().message(),
            "this rank is or was linked with rank 1 already; a pair of ranks is joined once per "
            "communicator");
}

TEST_F(SlotRingTest, MoreLanesThanTheAreaHoldsAreAnError) {
  const auto link = connect_slots(node0_, 1, 100, kCaps);
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(
      link.status().message(),
      fmt::format("100 lanes of 3 slots of 200 bytes need {} bytes, but the node's link areas "
                  "have {}",
                  link_area_bytes(100, kCaps), kLinkBytes));
}

TEST_F(SlotRingTest, LoopbackReachesRanksOfTheProcessAndShmDoesNot) {
  const auto loopback = make_loopback(node0_);
  const auto shm = make_shm(node0_);
  EXPECT_EQ(loopback->name(), "loopback");
  EXPECT_EQ(shm->name(), "shm");
  EXPECT_TRUE(loopback->reaches(1));
  EXPECT_FALSE(loopback->reaches(0)) << "nobody sends to himself";
  EXPECT_FALSE(loopback->reaches(2)) << "not of this node";
  EXPECT_FALSE(shm->reaches(1));
}

}  // namespace
}  // namespace tutti::transport
