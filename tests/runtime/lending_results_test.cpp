// Results and errors are the same whichever way blocks went: long enough for every rank's trials of
// all ways, in processes, since ranks that are threads of one have nothing to learn.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/world.h"
#include "tutti/communicator.h"

namespace tutti::test {
namespace {

constexpr int kTimeoutS = 480;  // of ThreadSanitizer's
constexpr int kCalls = 120;
constexpr std::int64_t kCount = 20'000;

// What call i adds up to where rank r has r + i + element % 5 everywhere.
std::string wrong_sum(const std::vector<std::int32_t>& sum, int ranks, int i) {
  for (std::size_t e = 0; e < sum.size(); ++e) {
    const int expected = ranks * (ranks - 1) / 2 + ranks * (i + static_cast<int>(e % 5));
    if (sum[e] == expected) continue;
    return fmt::format("call {}, element {}: {} in place of {}", i, e, sum[e], expected);
  }
  return {};
}

// Who is in place changes from call to call, and is another rank each time.
std::string all_reduces(Communicator& c) {
  std::vector<std::int32_t> send(kCount);
  std::vector<std::int32_t> recv(kCount);
  for (int i = 0; i < kCalls; ++i) {
    const bool in_place = i % 7 == 0 || i % (2 * c.size()) == c.rank();
    std::vector<std::int32_t>& input = in_place ? recv : send;
    for (std::size_t e = 0; e < input.size(); ++e) {
      input[e] = c.rank() + i + static_cast<int>(e % 5);
    }
    const Status status =
        c.all_reduce(input.data(), recv.data(), kCount, DataType::int32, ReduceOp::sum);
    if (!status.ok()) return std::string(status.message());
    if (std::string wrong = wrong_sum(recv, c.size(), i); !wrong.empty()) return wrong;
  }
  return {};
}

// What rank `from` has at element e of the buffer that it sends in call i.
std::int32_t sent(int from, std::size_t e, int i) {
  return static_cast<std::int32_t>(static_cast<std::size_t>(1'000'003 * from + 7919 * i) + e);
}

// Collectives that lend, and sends in a ring. Each is called on a buffer that no result has.
class Moves {
 public:
  // `memory`: bytes() of it, or nothing.
  Moves(Communicator& c, Memory memory) : c_(c), memory_(std::move(memory)) {
    const std::size_t half = blocks(c.size());
    own_.resize(memory_.bytes() > 0 ? 0 : 2 * half);
    const std::span<std::int32_t> all =
        memory_.bytes() > 0 ? memory_.as<std::int32_t>() : std::span(own_);
    send_ = all.first(half);
    recv_ = all.subspan(half, half);
  }
  static std::size_t bytes(int ranks) { return 2 * blocks(ranks) * sizeof(std::int32_t); }

  std::string run() {
    for (int i = 0; i < kCalls; ++i) {
      for (std::size_t e = 0; e < send_.size(); ++e) send_[e] = sent(c_.rank(), e, i);
      if (std::string wrong = call_each(i); !wrong.empty()) return fmt::format("{}: {}", i, wrong);
    }
    return {};
  }

 private:
  static std::size_t blocks(int count) { return static_cast<std::size_t>(count) * kCount; }

  std::string call_each(int i) {
    const auto type = DataType::int32;
    const int root = i % c_.size();
    const int next = (c_.rank() + 1) % c_.size();
    const int last = (c_.rank() + c_.size() - 1) % c_.size();
    const std::int32_t* const from = send_.data();
    std::int32_t* const to = recv_.data();
    std::string wrong;
    const auto expect = [&](const char* what, Status status, int first, int ranks, int block) {
      if (wrong.empty() && !status.ok()) wrong = std::string(status.message());
      for (int r = 0; r < ranks && wrong.empty(); ++r) wrong = check(what, r, first + r, block, i);
      std::fill(recv_.begin(), recv_.end(), -1);
    };
    std::fill(recv_.begin(), recv_.end(), -1);
    const int all = c_.size();
    expect("all_gather", c_.all_gather(from, to, kCount, type), 0, all, 0);
    expect("all_to_all", c_.all_to_all(from, to, kCount, type), 0, all, c_.rank());
    const std::vector<std::int64_t> counts(static_cast<std::size_t>(all), kCount);
    expect("all_to_all_v", c_.all_to_all_v(from, {counts}, to, {counts}, type), 0, all, c_.rank());
    expect("broadcast", c_.broadcast(from, to, kCount, type, root), root, 1, 0);
    expect("scatter", c_.scatter(from, to, kCount, type, root), root, 1, c_.rank());
    expect("gather", c_.gather(from, to, kCount, type, root), 0, c_.rank() == root ? all : 0, 0);
    expect("send_recv", c_.send_recv(from, kCount, next, to, kCount, last, type), last, 1, 0);
    return wrong;
  }

  // Is block `at` of the output the rank's block of that number?
  std::string check(const char* what, int at, int rank, int block, int i) const {
    for (std::size_t e = 0; e < static_cast<std::size_t>(kCount); ++e) {
      const std::int32_t found = recv_[blocks(at) + e];
      const std::int32_t right = sent(rank, blocks(block) + e, i);
      if (found == right) continue;
      return fmt::format("{}, block {}, element {}: {} in place of {}", what, at, e, found, right);
    }
    return {};
  }

  Communicator& c_;
  Memory memory_;
  std::vector<std::int32_t> own_;  // where there is no memory_
  std::span<std::int32_t> send_;
  std::span<std::int32_t> recv_;
};

std::string moves(Communicator& c, bool allocated) {
  Memory memory;
  if (allocated) {
    Result<Memory> made = c.allocate(Moves::bytes(c.size()));
    if (!made.ok()) return std::string(made.status().message());
    memory = std::move(*made);
  }
  return Moves(c, std::move(memory)).run();
}

enum class Allocates : std::uint8_t { nobody, odd_ranks, everybody };

bool allocates(Allocates who, int rank) {
  return who == Allocates::everybody || (who == Allocates::odd_ranks && rank % 2);
}

// Uneven all-to-alls in which some ranks are in place and others not, and some blocks are short.
std::string trades(Communicator& c, Allocates who) {
  const int ranks = c.size();
  const auto count = [&](int a, int b) {
    return ranks > 2 && a + b == 1 ? std::int64_t{3} : kCount;
  };
  std::vector<std::int64_t> counts;
  for (int peer = 0; peer < ranks; ++peer) counts.push_back(count(c.rank(), peer));
  const auto all = static_cast<std::size_t>(std::accumulate(counts.begin(), counts.end(), 0L));
  std::vector<std::int32_t> own(2 * all);
  const bool allocated = allocates(who, c.rank());
  const Result<Memory> memory = c.allocate(allocated ? 2 * all * sizeof(std::int32_t) : 0);
  if (!memory.ok()) return std::string(memory.status().message());
  const std::span<std::int32_t> both = allocated ? memory->as<std::int32_t>() : std::span(own);
  const std::span<std::int32_t> send = both.first(all);
  const std::span<std::int32_t> recv = both.last(all);
  for (int i = 0; i < kCalls; ++i) {
    const bool in_place = i % 7 == 0 || i % (2 * ranks) == c.rank();
    const std::span<std::int32_t> input = in_place ? recv : send;
    std::fill(recv.begin(), recv.end(), -1);
    std::size_t next = 0;
    for (int to = 0; to < ranks; ++to) {
      for (std::size_t e = 0; e < static_cast<std::size_t>(counts[static_cast<std::size_t>(to)]);
           ++e) {
        input[next++] = sent(c.rank(), e, i) + to;
      }
    }
    const Status status =
        c.all_to_all_v(input.data(), {counts}, recv.data(), {counts}, DataType::int32);
    if (!status.ok()) return fmt::format("call {}: {}", i, status.message());
    next = 0;
    for (int from = 0; from < ranks; ++from) {
      for (std::size_t e = 0; e < static_cast<std::size_t>(counts[static_cast<std::size_t>(from)]);
           ++e) {
        if (recv[next++] == sent(from, e, i) + c.rank()) continue;
        return fmt::format("trade {}: element {} of rank {} is {}", i, e, from, recv[next - 1]);
      }
    }
  }
  return {};
}

// Sums of int32: what rank r has at element e of call i is r + i + e % 5. Long enough for a trial
// of each way, of blocks that take part of a slot, and for all_reduce of several tiles.
std::string reductions(Communicator& c, std::int64_t count, int calls, Allocates who) {
  const auto whole = static_cast<std::size_t>(count * c.size());
  std::vector<std::int32_t> own(whole);
  std::vector<std::int32_t> recv(whole);
  const bool allocated = allocates(who, c.rank());
  const Result<Memory> memory = c.allocate(allocated ? whole * sizeof(std::int32_t) : 0);
  if (!memory.ok()) return std::string(memory.status().message());
  const std::span<std::int32_t> send = allocated ? memory->as<std::int32_t>() : std::span(own);
  for (int i = 0; i < calls; ++i) {
    for (std::size_t e = 0; e < whole; ++e) send[e] = c.rank() + i + static_cast<int>(e % 5);
    const int root = i % c.size();
    for (int kind = 0; kind < 3; ++kind) {
      std::fill(recv.begin(), recv.end(), -1);
      const auto type = DataType::int32;
      const std::int64_t all = count * c.size();
      const Status status =
          kind == 0   ? c.all_reduce(send.data(), recv.data(), all, type, ReduceOp::sum)
          : kind == 1 ? c.reduce(send.data(), recv.data(), all, type, ReduceOp::sum, root)
                      : c.reduce_scatter(send.data(), recv.data(), count, type, ReduceOp::sum);
      if (!status.ok()) return std::string(status.message());
      const bool has = kind != 1 || c.rank() == root;
      const std::size_t mine = kind == 2 ? static_cast<std::size_t>(count) : whole;
      const std::size_t first = kind == 2 ? mine * static_cast<std::size_t>(c.rank()) : 0;
      for (std::size_t e = 0; has && e < mine; ++e) {
        const int one = i + static_cast<int>((first + e) % 5);
        const int expected = c.size() * (c.size() - 1) / 2 + c.size() * one;
        if (recv[e] == expected) continue;
        return fmt::format("kind {}, call {}, element {}: {} in place of {}", kind, i, e, recv[e],
                           expected);
      }
    }
  }
  return {};
}

TEST(Lending, ChangesNoReduction) {
  Config config = quick_config();
  config.transports = {"shm"};
  for (const int ranks : {2, 3}) {
    const auto body = [](Communicator& c) {
      std::string wrong;
      for (const Allocates who : {Allocates::nobody, Allocates::odd_ranks, Allocates::everybody}) {
        if (wrong.empty()) wrong = reductions(c, 20'000 / c.size(), 80, who);
        if (wrong.empty()) wrong = reductions(c, 100'000 / c.size(), 30, who);
        if (wrong.empty()) wrong = reductions(c, 600'000 / c.size(), 20, who);
      }
      return wrong;
    };
    for (const Exit& exit : run_processes(ranks, config, body, nullptr, kTimeoutS)) {
      EXPECT_EQ(exit.status, 0);
      EXPECT_EQ(exit.output, "") << ranks << " ranks";
    }
  }
}

TEST(Lending, ChangesNoResult) {
  Config config = quick_config();
  config.transports = {"shm"};
  for (const int ranks : {2, 3}) {
    const auto body = [](Communicator& c) {
      std::string wrong = all_reduces(c);
      for (const Allocates who : {Allocates::nobody, Allocates::odd_ranks, Allocates::everybody}) {
        if (wrong.empty()) wrong = trades(c, who);
      }
      if (wrong.empty()) wrong = moves(c, /*allocated=*/false);
      return wrong.empty() ? moves(c, /*allocated=*/true) : wrong;
    };
    for (const Exit& exit : run_processes(ranks, config, body, nullptr, kTimeoutS)) {
      EXPECT_EQ(exit.status, 0);
      EXPECT_EQ(exit.output, "") << ranks << " ranks";
    }
  }
}

constexpr std::int64_t kMatching = 16'384;

// Sends to rank 1 that it takes, and then one that it does not.
Status mismatch_after(Communicator& c, int calls, bool in_pairs) {
  std::vector<std::int32_t> data(kMatching);
  std::vector<std::int32_t> taken(kMatching);
  const auto send = [&](std::int64_t count, DataType type) -> Status {
    if (!in_pairs) {
      if (c.rank() == 0) return c.send(data.data(), count, type, 1);
      return c.recv(taken.data(), kMatching, DataType::int32, 0);
    }
    const std::int64_t mine = c.rank() == 0 ? count : kMatching;
    const std::vector<std::int64_t> to{0, c.rank() == 0 ? mine : 0};
    const std::vector<std::int64_t> from{c.rank() == 0 ? 0 : mine, 0};
    return c.all_to_all_v(data.data(), {to}, taken.data(), {from}, DataType::int32);
  };
  for (int i = 0; i < calls; ++i) {
    if (Status status = send(kMatching, DataType::int32); !status.ok()) return status;
  }
  return send(in_pairs ? kMatching - 1 : kMatching, DataType::float32);
}

// The first trials of both other ways are over by then; each is ten calls long.
constexpr int kFirstTrials = 45;
constexpr int kStep = 3;

std::string mismatches(Communicator& c, bool in_pairs) {
  const std::string expected =
      in_pairs ? "recv_blocks.counts[0] of rank 1 must equal send_blocks.counts[1] of rank 0"
               : "rank 1 called recv(int32, 16384) from rank 0 while rank 0 called send(float32, "
                 "16384) to it";
  for (int calls = 0; calls < kFirstTrials; calls += kStep) {
    Result<Communicator> twin = c.duplicate();
    if (!twin.ok()) return std::string(twin.status().message());
    const Status status = mismatch_after(*twin, calls, in_pairs);
    const std::string text(status.message());
    const bool is_right = status.code() == Code::mismatch && text.find(expected) != text.npos;
    if (c.rank() == 1 && !is_right) return fmt::format("after {} calls: {}", calls, text);
    // Sends that nobody has taken yet may be over, and well.
    if (c.rank() == 0 && !status.ok() && text.find("rank 1") == text.npos) return text;
  }
  return {};
}

TEST(Lending, ChangesNoError) {
  Config config = quick_config();
  config.transports = {"shm"};
  for (const bool in_pairs : {false, true}) {
    const auto body = [&](Communicator& c) { return mismatches(c, in_pairs); };
    for (const Exit& exit : run_processes(2, config, body, nullptr, kTimeoutS)) {
      EXPECT_EQ(exit.status, 0);
      EXPECT_EQ(exit.output, "") << (in_pairs ? "all_to_all_v" : "send");
    }
  }
}

}  // namespace
}  // namespace tutti::test
