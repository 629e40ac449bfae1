#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/try.h"
#include "compare/cores.h"
#include "compare/limits.h"

namespace tutti::compare {
namespace {

// Two lines, because the prefetcher fetches pairs.
struct alignas(128) Flag {
  std::atomic<std::uint64_t> value = 0;
};

void await_at_least(const Flag& flag, std::uint64_t value) {
  while (flag.value.load(std::memory_order_acquire) < value) {
  }
}

// Rounds first, first + 1, ... count of them.
void ping_pong(std::array<Flag, 2>& flags, std::size_t side, std::uint64_t first,
               std::uint64_t count) {
  for (std::uint64_t round = first; round < first + count; ++round) {
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

void send_flags(Stream& stream, std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t i = first; i < first + count; ++i) {
    if (i > kCells) await_at_least(stream.taken, i - kCells);
    stream.cells[i % kCells].value.store(i, std::memory_order_release);
  }
}

void receive_flags(Stream& stream, std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t i = first; i < first + count; ++i) {
    await_at_least(stream.cells[i % kCells], i);
    if (i % kCellsPerCredit == 0) stream.taken.value.store(i, std::memory_order_release);
  }
}

// play(side, first round, rounds) on two cores.
template <typename Play>
Result<double> between_two_cores(std::int64_t iterations, Play play) {
  return run_on_cores(2, [&](int side, StartLine& line) {
    std::uint64_t next = 1;
    line.wait();
    return best_batch_us(iterations, [&](std::int64_t count) {
      play(static_cast<std::size_t>(side), next, static_cast<std::uint64_t>(count));
      next += static_cast<std::uint64_t>(count);
    });
  });
}

}  // namespace

Result<double> flag_us(std::int64_t iterations) {
  std::array<Flag, 2> flags;
  TUTTI_TRY_ASSIGN(const double round_trip_us,
                   between_two_cores(
                       iterations, [&](std::size_t side, std::uint64_t first, std::uint64_t count) {
                         ping_pong(flags, side, first, count);
                       }));
  return round_trip_us / 2;
}

Result<double> flag_stream_us(std::int64_t iterations) {
  Stream stream;
  return between_two_cores(
      iterations, [&](std::size_t side, std::uint64_t first, std::uint64_t count) {
        side == 0 ? send_flags(stream, first, count) : receive_flags(stream, first, count);
      });
}

}  // namespace tutti::compare
