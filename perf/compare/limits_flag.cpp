#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "compare/cores.h"
#include "compare/limits.h"

namespace tutti::compare {
namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

// Two lines, because the prefetcher fetches pairs.
struct alignas(128) Flag {
  std::atomic<std::uint64_t> value = 0;
};

void await_at_least(const Flag& flag, std::uint64_t value) {
  while (flag.value.load(std::memory_order_acquire) < value) {
  }
}

void ping_pong(std::array<Flag, 2>& flags, std::size_t side, std::uint64_t rounds) {
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    if (side == 1) await_at_least(flags[0], round);
    flags[side].value.store(round, std::memory_order_release);
    if (side == 0) await_at_least(flags[1], round);
  }
}

constexpr std::uint64_t kCells = 64;
constexpr std::uint64_t kCellsPerCredit = 16;
struct Stream {
  std::array<Flag, kCells> cells;
  Flag taken;
};

void send_flags(Stream& stream, std::uint64_t count) {
  for (std::uint64_t i = 1; i <= count; ++i) {
    if (i > kCells) await_at_least(stream.taken, i - kCells);
    stream.cells[i % kCells].value.store(i, std::memory_order_release);
  }
}

void receive_flags(Stream& stream, std::uint64_t count) {
  for (std::uint64_t i = 1; i <= count; ++i) {
    await_at_least(stream.cells[i % kCells], i);
    if (i % kCellsPerCredit == 0) stream.taken.value.store(i, std::memory_order_release);
  }
}

}  // namespace

Result<double> flag_us(std::int64_t iterations) {
  std::array<Flag, 2> flags;
  return run_on_cores(2, [&](int side, StartLine& line) {
    line.wait();
    const auto start = Clock::now();
    ping_pong(flags, static_cast<std::size_t>(side), static_cast<std::uint64_t>(iterations));
    return Microseconds(Clock::now() - start).count() / static_cast<double>(iterations) / 2;
  });
}

Result<double> flag_stream_us(std::int64_t iterations) {
  Stream stream;
  const auto count = static_cast<std::uint64_t>(iterations);
  return run_on_cores(2, [&](int side, StartLine& line) {
    line.wait();
    const auto start = Clock::now();
    side == 0 ? send_flags(stream, count) : receive_flags(stream, count);
    return Microseconds(Clock::now() - start).count() / static_cast<double>(iterations);
  });
}

}  // namespace tutti::compare
