// What threads gain that share a block: copies and float32 sums by one thread, and by several.
//
//   crew_bench [THREADS]     2 unless told
//
// One thread and THREADS take turns, round by round; a round is 64 MiB of blocks one after the
// other, of the same buffers, so that small ones stay in the caches. Times are microseconds for a
// block, medians of the rounds. "awake": blocks of a long operation. "asleep": each is an
// operation, and before it there is a pause in which workers go to sleep.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "device/reduce.h"
#include "runtime/crew.h"
#include "runtime/engine_copy.h"

namespace tutti::crew_bench {
namespace {

using device::Store;
using runtime::Crew;
using Clock = std::chrono::steady_clock;
using Loop = std::function<void(Crew& crew)>;

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
constexpr int kRounds = 11;
constexpr std::int64_t kRoundBytes = 64 * kMiB;
constexpr std::int64_t kPauses = 10;
constexpr useconds_t kPauseUs = 2000;

double microseconds_of(const Loop& loop, Crew& crew, std::int64_t repeats, bool asleep) {
  Clock::duration spent{};
  for (std::int64_t i = 0; i < repeats; ++i) {
    if (asleep) ::usleep(kPauseUs);  // tidy: allow sleep: there is no event that workers sleep
    const auto begin = Clock::now();
    loop(crew);
    spent += Clock::now() - begin;
  }
  return std::chrono::duration<double, std::micro>(spent).count() / static_cast<double>(repeats);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void compare(const Loop& loop, Crew& alone, Crew& crew, std::int64_t bytes, bool asleep) {
  const std::int64_t repeats = asleep ? kPauses : kRoundBytes / bytes;
  std::vector<double> one;
  std::vector<double> several;
  for (int round = 0; round < kRounds; ++round) {
    one.push_back(microseconds_of(loop, alone, repeats, asleep));
    several.push_back(microseconds_of(loop, crew, repeats, asleep));
  }
  fmt::print(" {:>9.1f} {:>9.1f} {:>5.2f}", median(one), median(several),
             median(one) / median(several));
}

void measure(Crew& alone, Crew& crew, std::int64_t bytes, bool asleep) {
  const auto elements = static_cast<std::size_t>(bytes) / sizeof(float);
  std::vector<float> a(elements, 1.0F);
  std::vector<float> b(elements, 2.0F);
  std::vector<float> to(elements);
  const device::Kernels& kernels = device::kernels(DataType::float32, ReduceOp::sum);
  const Loop copy = [&](Crew& by) {
    runtime::copy_block(by, to.data(), a.data(), bytes, Store::cached);
  };
  const Loop sum = [&](Crew& by) {
    by.divide(bytes, runtime::kCopyShareBytes, [&](int, std::int64_t begin, std::int64_t n) {
      kernels.reduce(runtime::at(to.data(), begin), runtime::at(a.data(), begin),
                     runtime::at(b.data(), begin), static_cast<std::size_t>(n) / sizeof(float),
                     Store::cached);
    });
  };
  fmt::print("{:>8} {:>7}", bytes / kKiB, asleep ? "asleep" : "awake");
  compare(copy, alone, crew, bytes, asleep);
  compare(sum, alone, crew, bytes, asleep);
  fmt::print("\n");
}

int run(int threads) {
  const Result<std::unique_ptr<Crew>> alone = Crew::create(1);
  const Result<std::unique_ptr<Crew>> crew = Crew::create(threads);
  if (!alone.ok() || !crew.ok()) {
    fmt::print(stderr, "{}\n", crew.status().message());
    return 1;
  }
  fmt::print("{:>8} {:>7} {:>9} {:>9} {:>5} {:>9} {:>9} {:>5}\n", "KiB", "workers", "copy by 1",
             fmt::format("by {}", threads), "gain", "sum by 1", fmt::format("by {}", threads),
             "gain");
  for (const bool asleep : {false, true}) {
    for (std::int64_t bytes = 64 * kKiB; bytes <= kRoundBytes; bytes *= 2) {
      (*crew)->expect(asleep ? bytes : kRoundBytes);
      measure(**alone, **crew, bytes, asleep);
    }
  }
  return 0;
}

}  // namespace
}  // namespace tutti::crew_bench

int main(int argc, char** argv) {
  return tutti::crew_bench::run(argc > 1 ? std::atoi(argv[1]) : 2);
}
