// Messages that fit cache lines and notes: at the sizes where one becomes the other, and when lines
// and notes are used again.

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "plan/layout.h"
#include "runtime/collective_case.h"
#include "runtime/engine_area.h"
#include "runtime/waiter.h"
#include "support/world.h"

namespace tutti::test {
namespace {

constexpr auto kLine = static_cast<std::int64_t>(runtime::kInlineBytes);
constexpr auto kNote = static_cast<std::int64_t>(runtime::kNoteBytes);

// As many bytes as fit, one less and one more, in a post of one block and of all the others'.
std::vector<std::int64_t> sizes(int ranks) {
  std::vector<std::int64_t> sizes;
  for (const std::int64_t most : {kLine, kNote, kNote / 4}) {  // direct from a quarter on
    for (const std::int64_t blocks : {std::int64_t{1}, std::int64_t{ranks} - 1}) {
      for (const std::int64_t beside : {-1, 0, 1}) sizes.push_back(most / blocks + beside);
    }
  }
  return sizes;
}

// Every collective at all of them. Empty when right, or what is wrong.
std::string run_at_sizes(Communicator& communicator) {
  const int ranks = communicator.size();
  for (int kind = 0; kind < kCollectiveCount; ++kind) {
    const auto collective = static_cast<Collective>(kind);
    if (collective == Collective::barrier) continue;
    for (const std::int64_t count : sizes(ranks)) {
      for (int way = 0; way < 8; ++way) {
        const bool reduces = collective == Collective::all_reduce ||
                             collective == Collective::reduce ||
                             collective == Collective::reduce_scatter;
        const Case one{.collective = collective,
                       .count = count,
                       .type = DataType::uint8,
                       .root = static_cast<int>(count % ranks),
                       .in_place = way % 2 == 1,
                       .uneven = plan::has_blocks(collective) && way >= 4,
                       .premultiplied = reduces && way / 2 % 2 == 1};
        std::string wrong = run_case(communicator, one);
        if (!wrong.empty()) return wrong;
      }
    }
  }
  return {};
}

TEST(ShortMessages, AtTheSizesWhereLinesAndNotesEnd) {
  for (const int ranks : {2, 3, 4, 17}) {
    run_threads(ranks, quick_config(), [](Communicator& communicator) {
      EXPECT_EQ(run_at_sizes(communicator), "") << "of " << communicator.size();
    });
  }
}

TEST(ShortMessages, AtTheSameSizesBetweenProcesses) {
  Config config = quick_config();
  config.transports = {"shm"};
  for (const int ranks : {2, 3}) {
    for (const Exit& exit : run_processes(ranks, config, run_at_sizes)) {
      EXPECT_EQ(exit.status, 0);
      EXPECT_EQ(exit.output, "");
    }
  }
}

// One rank's calls, with contents that no other call has.
class Calls {
 public:
  explicit Calls(Communicator& communicator) : communicator_(communicator) {}

  // False when the result is wrong.
  bool all_reduce(std::int64_t words) {
    ++number_;
    const auto ranks = static_cast<std::uint64_t>(communicator_.size());
    std::vector<std::uint64_t> in(static_cast<std::size_t>(words), number_);
    std::vector<std::uint64_t> out(in.size());
    const std::vector<std::uint64_t> want(in.size(), number_ * ranks);
    const Status status =
        communicator_.all_reduce(in.data(), out.data(), words, DataType::uint64, ReduceOp::sum);
    EXPECT_TRUE(status.ok()) << status.message();
    return status.ok() && out == want;
  }
  bool broadcast(std::int64_t words, int root) {
    ++number_;
    std::vector<std::uint64_t> data(static_cast<std::size_t>(words));
    if (communicator_.rank() == root) data.assign(data.size(), number_);
    const std::vector<std::uint64_t> want(data.size(), number_);
    const Status status =
        communicator_.broadcast(data.data(), data.data(), words, DataType::uint64, root);
    EXPECT_TRUE(status.ok()) << status.message();
    return status.ok() && data == want;
  }

 private:
  Communicator& communicator_;
  std::uint64_t number_ = 0;
};

constexpr std::int64_t kInLine = 1;
constexpr std::int64_t kInNote = kNote / 8;

// A note that all take turns with is used again after any number of calls that use none, or others.
TEST(ShortMessages, NotesAreUsedAgainWhateverWasBetween) {
  for (const int ranks : {2, 3}) {
    run_threads(ranks, quick_config(), [&](Communicator& communicator) {
      Calls calls(communicator);
      for (int between = 0; between <= 2 * runtime::kLines; ++between) {
        for (int repeat = 0; repeat < 2 * runtime::kSwapNotes; ++repeat) {
          ASSERT_TRUE(calls.all_reduce(kInNote / 8)) << between;
        }
        for (int i = 0; i < between; ++i) {
          ASSERT_TRUE(calls.broadcast(i % 3 == 0 ? kInNote : kInLine, i % 2)) << between;
        }
      }
    });
  }
}

// Swaps of all kinds and sizes count together, also where ranks post in different places.
TEST(ShortMessages, SwapsOfAllKindsTakeTurns) {
  constexpr std::int64_t kBytes[] = {8, 300, 3000, 20'000, 300'000};
  for (const int ranks : {2, 3, 5}) {
    run_threads(ranks, quick_config(), [&](Communicator& communicator) {
      for (int round = 0; round < 3 * runtime::kSwapNotes; ++round) {
        const Case kinds[] = {
            {.collective = Collective::all_to_all, .count = kBytes[round % 5], .uneven = true},
            {.collective = Collective::all_reduce, .count = kBytes[round % 3]},
            {.collective = Collective::reduce_scatter, .count = 100, .premultiplied = true},
            {.collective = Collective::all_gather,
             .count = kBytes[(round + 2) % 4],
             .uneven = true},
        };
        for (Case one : kinds) {
          one.type = DataType::uint8;
          EXPECT_EQ(run_case(communicator, one), "") << describe(one) << ", round " << round;
        }
      }
    });
  }
}

// A sender fills nearly all notes before it waits for receivers, and overwrites none.
TEST(ShortMessages, ASenderIsFarAheadOfItsReceivers) {
  constexpr int kAhead = runtime::kLines - static_cast<int>(runtime::kLinesPerCredit);
  std::atomic<int> sent{0};  // bursts that the root has returned from
  run_threads(3, quick_config(), [&](Communicator& communicator) {
    Calls calls(communicator);
    for (int burst = 1; burst <= 5; ++burst) {
      ASSERT_TRUE(communicator.barrier().ok());
      // Should the root wait for who waits here, its deadline ends the test.
      while (communicator.rank() > 0 && sent.load() < burst && communicator.status().ok()) {
        std::this_thread::yield();
      }
      for (int call = 0; call < kAhead; ++call) {
        ASSERT_TRUE(calls.broadcast(call % 5 == 0 ? kInLine : kInNote, 0)) << call;
      }
      if (communicator.rank() == 0) ++sent;
    }
    // And what does not fit waits.
    for (int call = 0; call < 5 * runtime::kLines; ++call) {
      ASSERT_TRUE(calls.broadcast(kInNote, 0)) << call;
    }
  });
}

// Some have allocated their buffers and some have not: either all take them where they lie, or all
// copy.
TEST(ShortMessages, AnAllReduceOfWhatSomeHaveAllocated) {
  for (const int allocating : {0, 1, 2, 3}) {
    run_threads(3, quick_config(), [&](Communicator& communicator) {
      const std::size_t most = runtime::kNoteBytes + 8;
      std::vector<std::uint64_t> own(2 * most / 8);
      auto* in = own.data();
      auto* out = own.data() + most / 8;
      Memory memory;
      if (communicator.rank() < allocating) {
        Result<Memory> got = communicator.allocate(2 * most);
        ASSERT_TRUE(got.ok()) << got.status().message();
        memory = *std::move(got);
        in = memory.as<std::uint64_t>().data();
        out = in + most / 8;
      }
      for (std::size_t words = 8; words <= most / 8; ++words) {
        for (std::size_t i = 0; i < words; ++i) in[i] = words * 1000 + i;
        const Status status = communicator.all_reduce(in, out, static_cast<std::int64_t>(words),
                                                      DataType::uint64, ReduceOp::sum);
        ASSERT_TRUE(status.ok()) << status.message();
        for (std::size_t i = 0; i < words; ++i) {
          ASSERT_EQ(out[i], 3 * (words * 1000 + i)) << words << " words, word " << i;
        }
      }
      ASSERT_TRUE(communicator.barrier().ok());
    });
  }
}

// One announces where its memory lies, the other makes another call: both hear of it.
TEST(ShortMessages, AnAnnouncedAllReduceThatMeetsAnotherCall) {
  constexpr std::int64_t kCount = kNote / 2 / static_cast<std::int64_t>(sizeof(float));
  for (const bool posts : {true, false}) {
    run_threads(2, quick_config(), [&](Communicator& communicator) {
      const auto bytes = static_cast<std::size_t>(2 * kCount) * sizeof(float);
      Result<Memory> memory = communicator.allocate(bytes);
      ASSERT_TRUE(memory.ok()) << memory.status().message();
      float* const data = memory->as<float>().data();
      std::vector<float> own(4 * static_cast<std::size_t>(kCount));
      const auto type = DataType::float32;
      const Status status =
          communicator.rank() == 0
              ? communicator.all_reduce(data, data + kCount, kCount, type, ReduceOp::sum)
          : posts ? communicator.all_gather(own.data(), own.data() + kCount, kCount, type)
                  : communicator.gather(own.data(), own.data() + kCount, kCount, type, 1);
      EXPECT_EQ(status.code(), Code::mismatch) << status.message();
      const std::string text(status.message());
      EXPECT_NE(text.find("all_reduce(float32, 512, sum)"), std::string::npos) << text;
      EXPECT_NE(text.find(posts ? "all_gather(float32, 512)" : "gather(float32, 512"),
                std::string::npos)
          << text;
    });
  }
}

// Those that have announced leave it when one has not come.
TEST(ShortMessages, AnAnnouncedAllReduceThatIsAborted) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> calling{0};
    run_threads(3, quick_config(), [&](Communicator& communicator) {
      constexpr std::size_t kBytes = runtime::kNoteBytes / 2;
      Result<Memory> memory = communicator.allocate(kBytes);
      ASSERT_TRUE(memory.ok()) << memory.status().message();
      float* const data = memory->as<float>().data();
      ASSERT_TRUE(communicator.barrier().ok());
      if (communicator.rank() == 2) {
        // Another moment in each round, from the calls on.
        while (calling.load() < 2) std::this_thread::yield();
        for (int i = 0; i < round; ++i) std::this_thread::yield();
        communicator.abort();
        return;
      }
      ++calling;
      const Status status = communicator.all_reduce(data, data, kBytes / sizeof(float),
                                                    DataType::float32, ReduceOp::sum);
      EXPECT_EQ(status.code(), Code::aborted) << status.message();
    });
  }
}

// What decides whether senders lend: all ranks of a host say the same.
TEST(ShortMessages, MoreRanksThanCpusAreCrowded) {
  EXPECT_FALSE(runtime::Patience::of(2, 2).crowded);
  EXPECT_TRUE(runtime::Patience::of(3, 2).crowded);
}

}  // namespace
}  // namespace tutti::test
