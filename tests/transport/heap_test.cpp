// The heap: what is given, found, reached by peers, refused and given back.
#include "transport/heap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "transport/fork_ranks.h"

namespace tutti::transport {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t kSpaceBytes = std::size_t{1} << 40;

std::shared_ptr<Segment> file_of(std::size_t bytes) {
  auto file = make_memory_file(bytes);
  EXPECT_TRUE(file.ok()) << file.status().message();
  return make_file_segment(*std::move(file));
}

HeapSpace space_of(std::shared_ptr<Segment> segment, std::size_t bytes = kSpaceBytes) {
  return {std::move(segment), {0, bytes}, bytes, {"rank 4 (host a)", "rank 7 (host b)"}};
}

blkcnt_t blocks_of(const Segment& segment) {
  struct stat info {};
  EXPECT_EQ(::fstat(segment.descriptor(), &info), 0);
  return info.st_blocks;
}

std::span<std::byte> allocated(Heap& heap, std::size_t bytes) {
  auto memory = heap.allocate(bytes);
  EXPECT_TRUE(memory.ok()) << memory.status().message();
  return *memory;
}

TEST(HeapTest, APeerReachesWhatWasAllocated) {
  const auto segment = file_of(2 * kSpaceBytes);
  Heap heap(space_of(segment), 1);
  Heap peer(space_of(segment), 0);
  const auto first = allocated(heap, 100);
  const auto second = allocated(heap, 10'000);
  EXPECT_EQ(second.size(), 10'000U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.data()) % 4096, 0U);
  EXPECT_TRUE(std::ranges::all_of(second, [](std::byte b) { return b == std::byte{0}; }));
  second[5000] = std::byte{7};

  const auto place = heap.find(&second[5000], 5000);
  ASSERT_TRUE(place);
  const auto reached = peer.reach(1, *place);
  ASSERT_TRUE(reached.ok()) << reached.status().message();
  EXPECT_NE(*reached, &second[5000]) << "every rank has a mapping of its own";
  EXPECT_EQ(**reached, std::byte{7});
  **reached = std::byte{8};
  EXPECT_EQ(second[5000], std::byte{8});
  EXPECT_EQ(*peer.reach(1, *place), *reached) << "mapped once";
  EXPECT_TRUE(heap.free(first.data()).ok());
  EXPECT_TRUE(heap.free(second.data()).ok());
}

TEST(HeapTest, FindsWhatLiesWithinOneAllocationOnly) {
  Heap heap(space_of(file_of(2 * kSpaceBytes)), 0);
  const auto memory = allocated(heap, 8192);
  EXPECT_TRUE(heap.find(memory.data(), 8192));
  EXPECT_TRUE(heap.find(memory.data() + 8191, 1));
  EXPECT_FALSE(heap.find(memory.data() + 8191, 2));
  EXPECT_FALSE(heap.find(memory.data() - 1, 2));
  const int elsewhere = 0;
  EXPECT_FALSE(heap.find(&elsewhere, sizeof elsewhere));
  EXPECT_TRUE(heap.free(memory.data()).ok());
  EXPECT_FALSE(heap.find(memory.data(), 8192));
}

TEST(HeapTest, ASlotThatIsUsedAgainShowsTheNewMemory) {
  const auto segment = file_of(2 * kSpaceBytes);
  Heap heap(space_of(segment), 0);
  Heap peer(space_of(segment), 1);
  for (int round = 1; round <= 3; ++round) {
    const auto memory = allocated(heap, static_cast<std::size_t>(round) * 4096);
    EXPECT_EQ(memory.front(), std::byte{0}) << "nothing of what was freed is left";
    memory.front() = static_cast<std::byte>(round);
    const auto place = heap.find(memory.data(), memory.size());
    ASSERT_TRUE(place);
    EXPECT_EQ(place->slot, 0U);
    EXPECT_EQ(**peer.reach(0, *place), static_cast<std::byte>(round));
    EXPECT_TRUE(heap.free(memory.data()).ok());
  }
}

TEST(HeapTest, FreeingGivesThePagesBack) {
  const auto segment = file_of(2 * kSpaceBytes);
  Heap heap(space_of(segment), 0);
  EXPECT_EQ(blocks_of(*segment), 0) << "file space costs nothing";
  const auto memory = allocated(heap, 1 << 20);
  EXPECT_GE(blocks_of(*segment) * 512, 1 << 20);
  EXPECT_TRUE(heap.free(memory.data()).ok());
  EXPECT_EQ(blocks_of(*segment), 0);
}

TEST(HeapTest, FreeingTwiceOrSomethingElseNamesTheAddress) {
  for (const HeapSpace& space : {space_of(file_of(2 * kSpaceBytes)), HeapSpace{}}) {
    Heap heap(space, 0);
    const auto memory = allocated(heap, 100);
    const Status inside = heap.free(memory.data() + 1);
    EXPECT_EQ(inside.code(), Code::invalid_argument);
    ASSERT_TRUE(heap.free(memory.data()).ok());
    const Status twice = heap.free(memory.data());
    EXPECT_EQ(twice.code(), Code::invalid_argument);
    char address[32];
    std::snprintf(address, sizeof address, "%p", static_cast<const void*>(memory.data()));
    EXPECT_EQ(twice.message(), std::string(address) +
                                   " is not the start of memory that this communicator "
                                   "allocated, or it was freed before");
    EXPECT_EQ(heap.free(nullptr).code(), Code::invalid_argument);
  }
}

// This host's memory, or that of the test's own control group.
TEST(HeapTest, MoreThanTheHostHasIsRefusedBeforeItIsTaken) {
  Heap heap(space_of(file_of(2 * kSpaceBytes)), 0);
  const auto refused = heap.allocate(std::size_t{1} << 49);
  EXPECT_EQ(refused.status().code(), Code::unavailable);
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(StartsWith("cannot allocate 562949953421312 bytes: "),
                    HasSubstr(" bytes of memory left; allocate less")));
}

TEST(HeapTest, FileSpaceIsNeverUsedTwiceAndEnds) {
  Heap heap(space_of(file_of(16384), 8192), 0);
  const auto memory = allocated(heap, 8192);
  ASSERT_TRUE(heap.free(memory.data()).ok());
  EXPECT_EQ(heap.allocate(1).status().message(),
            "cannot allocate 4096 bytes: 8192 of this communicator's 8192 bytes of file space were "
            "used; allocate from another communicator");
}

TEST(HeapTest, TheNumberOfAllocationsIsBounded) {
  Heap heap(HeapSpace{}, 0);
  std::vector<std::span<std::byte>> all;
  for (std::size_t i = 0; i < kHeapSlots; ++i) all.push_back(allocated(heap, 1));
  EXPECT_EQ(heap.allocate(1).status().message(),
            "cannot allocate 1 bytes: this communicator has 1024 allocations already; free some, "
            "or make fewer and larger ones");
  for (const auto memory : all) EXPECT_TRUE(heap.free(memory.data()).ok());
  const auto again = allocated(heap, 1);
  EXPECT_TRUE(heap.free(again.data()).ok());
}

TEST(HeapTest, AHeapThatSharesWithNobodyGivesOrdinaryMemory) {
  Heap heap(HeapSpace{}, 0);
  const auto memory = allocated(heap, 5000);
  std::memset(memory.data(), 1, memory.size());
  EXPECT_FALSE(heap.find(memory.data(), memory.size()));
  EXPECT_TRUE(heap.free(memory.data()).ok());
}

TEST(HeapTest, AForkGivesNothingBack) {
  Heap heap(space_of(file_of(2 * kSpaceBytes)), 0);
  const auto memory = allocated(heap, 4096);
  std::memset(memory.data(), 3, memory.size());
  const pid_t child = fork_rank([&] { EXPECT_TRUE(heap.free(memory.data()).ok()); });
  EXPECT_EQ(await_child(child), 0);
  EXPECT_TRUE(std::ranges::all_of(memory, [](std::byte b) { return b == std::byte{3}; }));
  EXPECT_TRUE(heap.free(memory.data()).ok());
}

TEST(HeapTest, FindIsRightWhileAnotherThreadAllocatesAndFrees) {
  Heap heap(space_of(file_of(2 * kSpaceBytes)), 0);
  // The slot that changes is looked at first, and its memory mostly lies right below: with the
  // longer one's length the shorter one would seem to hold `memory`.
  const auto first = allocated(heap, 4096);
  const auto memory = allocated(heap, 4096);
  const std::uint64_t offset = heap.find(memory.data(), 4096)->offset;
  ASSERT_TRUE(heap.free(first.data()).ok());
  std::atomic<bool> done{false};
  std::thread other([&] {
    for (int i = 0; i < 20'000; ++i) {
      EXPECT_TRUE(heap.free(allocated(heap, i % 2 == 0 ? 8192 : 16384).data()).ok());
    }
    done = true;
  });
  while (!done) {
    const auto place = heap.find(memory.data(), 4096);
    ASSERT_TRUE(place);
    ASSERT_EQ(place->offset, offset);
  }
  other.join();
  EXPECT_TRUE(heap.free(memory.data()).ok());
}

#ifndef TUTTI_SANITIZE  // sanitizers need address space without limit
TEST(HeapTest, ALimitOfAddressSpaceIsAnErrorThatLeavesNothing) {
  const pid_t child = fork_rank([] {
    const auto segment = file_of(2 * kSpaceBytes);
    Heap heap(space_of(segment), 0);
    Heap peer(space_of(segment), 1);
    const auto memory = allocated(heap, 1 << 20);
    const auto place = heap.find(memory.data(), 1 << 20);
    const auto blocks = blocks_of(*segment);
    const rlimit none{.rlim_cur = 4096, .rlim_max = 4096};
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &none), 0);
    EXPECT_THAT(std::string(heap.allocate(1 << 20).status().message()),
                AllOf(StartsWith("cannot allocate 1048576 bytes: Cannot allocate memory"),
                      HasSubstr("ulimit -v")));
    EXPECT_EQ(blocks_of(*segment), blocks);
    EXPECT_THAT(
        std::string(peer.reach(0, *place).status().message()),
        AllOf(StartsWith("rank 7 (host b) cannot map 1048576 bytes that rank 4 (host a) allocated: "
                         "Cannot allocate memory"),
              HasSubstr("raise the limits of the former (ulimit -v"),
              HasSubstr("or use memory that is not allocated by the communicator")));
    EXPECT_TRUE(heap.free(memory.data()).ok());
  });
  EXPECT_EQ(await_child(child), 0);
}
#endif

}  // namespace
}  // namespace tutti::transport
