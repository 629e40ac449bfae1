// Random sequences of calls without a barrier in between: what one call leaves in the shared
// buffers must not reach the next, whatever kinds follow each other, whoever runs ahead, and
// wherever each rank's buffers lie. Every result is compared with integers that are exact.

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <sched.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/sequence_step.h"
#include "support/world.h"

namespace tutti::test {
namespace {

#ifdef TUTTI_SANITIZE
constexpr int kCalls = 150;
#else
constexpr int kCalls = 500;
#endif
constexpr std::int64_t kBufferBytes = 4 << 20;
constexpr int kGuard = 0xa5;

// TUTTI_TEST_CALLS, for long runs.
int calls() {
  const char* given = std::getenv("TUTTI_TEST_CALLS");
  return given != nullptr ? std::atoi(given) : kCalls;
}

// One rank of a sequence.
class Sequence {
 public:
  Sequence(Communicator& communicator, std::uint64_t seed)
      : communicator_(communicator),
        me_(communicator.rank()),
        ranks_(communicator.size()),
        shared_(seed),
        private_(mix(seed, static_cast<std::uint64_t>(me_) + 1)),
        want_(kBufferBytes) {
    for (std::size_t which = 0; which < 2; ++which) {
      private_memory_[which].resize(kBufferBytes);
      Result<Memory> got = communicator.allocate(kBufferBytes);
      if (got.ok()) allocated_[which].emplace(*std::move(got));
    }
  }

  std::string run(int calls) {
    for (int i = 0; i < calls; ++i) {
      const Step step = draw_step(shared_, ranks_, kBufferBytes);
      // So that now one rank is ahead and now another.
      if (below(private_, 8) == 0) std::this_thread::yield();
      if (below(private_, 400) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const std::string wrong = step.type == DataType::uint8    ? run_step<std::uint8_t>(step)
                                : step.type == DataType::uint32 ? run_step<std::uint32_t>(step)
                                                                : run_step<std::uint64_t>(step);
      if (wrong.empty()) continue;
      communicator_.abort();
      return fmt::format("rank {} of {}, call {}, kind {} {}{}, {} {}, root {}: {}", me_, ranks_, i,
                         static_cast<int>(step.kind), name(step.call), step.uneven ? "_v" : "",
                         step.count, name(step.type), step.root, wrong);
    }
    const Status status = communicator_.barrier();  // nobody leaves before all are through
    return std::string(status.message());
  }

 private:
  std::byte* buffer(std::size_t which) {
    const bool lies_there = below(private_, 2) == 0 && allocated_[which].has_value();
    return lies_there ? allocated_[which]->as<std::byte>().data() : private_memory_[which].data();
  }

  static std::int64_t end(const std::vector<Part>& parts, std::int64_t base) {
    std::int64_t end = 0;
    for (const Part& part : parts) end = std::max(end, base + part.at + part.count);
    return end;
  }

  template <typename T>
  std::string run_step(const Step& step) {
    if (step.kind != Step::collective) return run_transfers<T>(step);
    const Layout layout = lay_out(step, me_, ranks_);
    const bool in_place = layout.can_be_in_place && below(private_, 2) == 0;
    const std::int64_t shift = below(private_, 2) * below(private_, 20);
    T* const out = reinterpret_cast<T*>(buffer(1)) + shift;
    T* const in = in_place ? out : reinterpret_cast<T*>(buffer(0)) + shift;
    const std::int64_t in_base = in_place ? layout.in_base : 0;
    const std::int64_t out_base = in_place ? layout.out_base : 0;
    std::int64_t extent = end(layout.out, out_base);
    if (in_place) extent = std::max(extent, end(layout.in, in_base));
    const std::size_t bytes = static_cast<std::size_t>(extent + 8) * sizeof(T);
    std::memset(static_cast<void*>(out), kGuard, bytes);
    for (const Part& part : layout.in) write(in + in_base, part, step.op, false);
    T* const want = reinterpret_cast<T*>(want_.data());
    std::memcpy(want, out, bytes);
    for (const Part& part : layout.out) write(want + out_base, part, step.op, step.scaled);
    const Status status = call(step, layout, in + in_base, out + out_base);
    if (!status.ok()) return std::string(status.message());
    return compare(out, bytes, in_place ? "in place" : "apart");
  }

  std::string compare(const void* out, std::size_t bytes, const char* how) const {
    const auto* const got = static_cast<const std::byte*>(out);
    for (std::size_t i = 0; i < bytes; ++i) {
      if (got[i] != want_[i]) return fmt::format("{}: byte {} of {} is wrong", how, i, bytes);
    }
    return {};
  }

  // Counts and offsets of blocks.
  struct Lists {
    explicit Lists(const std::vector<Part>& parts) {
      for (const Part& part : parts) {
        counts.push_back(part.count);
        offsets.push_back(part.at);
      }
    }
    Blocks blocks() const { return {counts, offsets}; }
    std::vector<std::int64_t> counts;
    std::vector<std::int64_t> offsets;
  };

  Status call(const Step& step, const Layout& layout, void* in, void* out) {
    Communicator& c = communicator_;
    const Reduction op = step.scaled
                             ? Reduction::premultiplied_sum(static_cast<std::int64_t>(kFactor))
                             : Reduction(step.op);
    if (step.uneven) return call_uneven(step, layout, in, out, op);
    switch (step.call) {
      case Collective::all_reduce:
        return c.all_reduce(in, out, step.count, step.type, op);
      case Collective::broadcast:
        return c.broadcast(in, out, step.count, step.type, step.root);
      case Collective::reduce:
        return c.reduce(in, out, step.count, step.type, op, step.root);
      case Collective::all_gather:
        return c.all_gather(in, out, step.count, step.type);
      case Collective::reduce_scatter:
        return c.reduce_scatter(in, out, step.count, step.type, op);
      case Collective::all_to_all:
        return c.all_to_all(in, out, step.count, step.type);
      case Collective::gather:
        return c.gather(in, out, step.count, step.type, step.root);
      case Collective::scatter:
        return c.scatter(in, out, step.count, step.type, step.root);
      case Collective::barrier:
        return c.barrier();
    }
    return {};
  }

  Status call_uneven(const Step& step, const Layout& layout, void* in, void* out, Reduction op) {
    Communicator& c = communicator_;
    const Lists lists(layout.blocks);
    const Lists sent(layout.in);
    switch (step.call) {
      case Collective::all_gather:
        return c.all_gather_v(in, out, lists.blocks(), step.type);
      case Collective::reduce_scatter:
        return c.reduce_scatter_v(in, out, lists.blocks(), step.type, op);
      case Collective::gather:
        return c.gather_v(in, out, lists.blocks(), step.type, step.root);
      case Collective::scatter:
        return c.scatter_v(in, out, lists.blocks(), step.type, step.root);
      default:
        return c.all_to_all_v(in, sent.blocks(), out, lists.blocks(), step.type);
    }
  }

  template <typename T>
  std::string run_transfers(const Step& step) {
    T* const in = reinterpret_cast<T*>(buffer(0));
    T* const out = reinterpret_cast<T*>(buffer(1));
    const std::int64_t count = step.count;
    const std::size_t bytes =
        static_cast<std::size_t>(count * (step.kind == Step::group ? ranks_ : 1)) * sizeof(T);
    std::memset(static_cast<void*>(out), kGuard, bytes);
    T* const want = reinterpret_cast<T*>(want_.data());
    std::memcpy(want, out, bytes);
    const auto give = [&](int to, std::int64_t at) {
      write(in, {at, count, {step.key_of(me_, to)}}, step.op, false);
    };
    const auto expect = [&](int from, std::int64_t at) {
      write(want, {at, count, {step.key_of(from, me_)}}, step.op, false);
    };
    Status status;
    if (step.kind == Step::ring) {
      const int next = (me_ + 1) % ranks_;
      const int previous = (me_ + ranks_ - 1) % ranks_;
      give(next, 0);
      expect(previous, 0);
      status = communicator_.send_recv(in, count, next, out, count, previous, step.type);
    } else if (step.kind == Step::pair) {
      if (me_ == step.root) {
        give(step.other, 0);
        status = communicator_.send(in, count, step.type, step.other);
      } else if (me_ == step.other) {
        expect(step.root, 0);
        status = communicator_.recv(out, count, step.type, step.root);
      }
    } else {
      status = exchange(step, in, out, give, expect);
    }
    if (!status.ok()) return std::string(status.message());
    return compare(out, bytes, "transfers");
  }

  // Everybody with everybody.
  template <typename T, typename Give, typename Expect>
  Status exchange(const Step& step, T* in, T* out, Give give, Expect expect) {
    for (int r = 0; r < ranks_; ++r) {
      if (r == me_) continue;
      give(r, r * step.count);
      expect(r, r * step.count);
    }
    return communicator_.group([&] {
      for (int r = 0; r < ranks_; ++r) {
        if (r == me_) continue;
        (void)communicator_.recv(out + r * step.count, step.count, step.type, r);
        (void)communicator_.send(in + r * step.count, step.count, step.type, r);
      }
    });
  }

  Communicator& communicator_;
  int me_;
  int ranks_;
  std::mt19937_64 shared_;   // draws alike on all ranks
  std::mt19937_64 private_;  // what this rank alone decides
  std::vector<std::byte> want_;
  std::array<std::vector<std::byte>, 2> private_memory_;
  std::array<std::optional<Memory>, 2> allocated_;
};

// As ranks, and threads that each of them copies and reduces with. With more ranks than CPUs the
// engine goes other ways, on any machine where all share one.
struct Size {
  int ranks = 2;
  int threads = 1;
  bool on_one_cpu = false;
};

class RandomSequence : public testing::TestWithParam<Size> {
 protected:
  void SetUp() override {
    if (!GetParam().on_one_cpu) return;
    ASSERT_EQ(::sched_getaffinity(0, sizeof(cpu_set_t), &before_.emplace()), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);  // ranks begin with it
  }
  void TearDown() override {
    if (before_) ::sched_setaffinity(0, sizeof(cpu_set_t), &*before_);
  }

  static Config config() {
    Config config = quick_config();
    config.threads = GetParam().threads;
    return config;
  }

 private:
  std::optional<cpu_set_t> before_;
};

TEST_P(RandomSequence, OfThreads) {
  const std::uint64_t seed = test_seed();
  run_threads(GetParam().ranks, config(), [seed](Communicator& communicator) {
    EXPECT_EQ(Sequence(communicator, seed).run(calls()), "");
  });
}

TEST_P(RandomSequence, OfProcesses) {
  const std::uint64_t seed = test_seed();
  Config shared = config();
  shared.transports = {"shm"};
  for (const Exit& exit :
       run_processes(GetParam().ranks, shared, [seed](Communicator& communicator) {
         return Sequence(communicator, seed).run(calls());
       })) {
    EXPECT_EQ(exit.status, 0);
    EXPECT_EQ(exit.output, "");
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, RandomSequence,
                         testing::Values(Size{2}, Size{3}, Size{5}, Size{2, 2}, Size{3, 3},
                                         Size{3, 1, true}),
                         [](const auto& info) {
                           return fmt::format("{}_by_{}{}", info.param.ranks, info.param.threads,
                                              info.param.on_one_cpu ? "_on_one_CPU" : "");
                         });

// Longer all-reduces take steps of the engine's board as short ones do, and post nothing. After 63
// of them the next post meets the line of the last one before, which its reader must have given
// back by then.
TEST(Sequence, CallsWithoutPostsAmongThoseThatHaveThem) {
  run_threads(2, quick_config(), [](Communicator& communicator) {
    constexpr std::int64_t kCount = 2048;
    std::vector<float> data(kCount);
    for (int round = 0; round < 20; ++round) {
      for (int i = 0; i < 20 + round; ++i) ASSERT_EQ(communicator.barrier().message(), "");
      for (int i = 0; i < 63; ++i) {
        ASSERT_EQ(
            communicator
                .all_reduce(data.data(), data.data(), kCount, DataType::float32, ReduceOp::max)
                .message(),
            "");
      }
    }
  });
}

}  // namespace
}  // namespace tutti::test
