#include "rdma/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/try.h"

namespace tutti::perf {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// One side's part of a stream: messages to send and to take, round robin over the lanes.
class Stream {
 public:
  Stream(RdmaPair& pair, int lanes, std::int64_t bytes, std::int64_t iterations, bool sends,
         bool takes)
      : pair_(pair),
        lanes_(lanes),
        slot_bytes_(static_cast<std::int64_t>(pair.link().caps().slot_bytes)),
        parts_(std::max<std::int64_t>(1, (bytes + slot_bytes_ - 1) / slot_bytes_)),
        last_bytes_(bytes - (parts_ - 1) * slot_bytes_),
        to_send_(sends ? iterations * parts_ : 0),
        to_take_(takes ? iterations * parts_ : 0) {}

  // True when all is sent and taken. Moves whatever can move.
  bool advance() {
    while (sent_ < to_send_ && send_one()) {
    }
    while (taken_ < to_take_ && take_one()) {
    }
    if (sent_ < to_send_ || taken_ < to_take_) return false;
    bool flushed = true;
    for (int lane = 0; lane < lanes_; ++lane) {
      flushed = pair_.link().send_port(lane).flush() && flushed;
    }
    return flushed;
  }
  std::int64_t taken() const { return taken_ / parts_; }

 private:
  bool send_one() {
    transport::SendPort& port = pair_.link().send_port(static_cast<int>(sent_ % lanes_));
    const auto bytes =
        static_cast<std::size_t>(sent_ % parts_ + 1 < parts_ ? slot_bytes_ : last_bytes_);
    if (port.reserve(bytes).data() == nullptr) return false;
    port.commit(bytes, 0);
    ++sent_;
    return true;
  }
  bool take_one() {
    transport::RecvPort& port = pair_.link().recv_port(static_cast<int>(taken_ % lanes_));
    if (port.peek().data() == nullptr) return false;
    port.release();
    ++taken_;
    return true;
  }

  RdmaPair& pair_;
  const int lanes_;
  const std::int64_t slot_bytes_;
  const std::int64_t parts_;
  const std::int64_t last_bytes_;
  const std::int64_t to_send_;
  const std::int64_t to_take_;
  std::int64_t sent_ = 0;
  std::int64_t taken_ = 0;
};

Status send_small(RdmaPair& pair, std::size_t bytes) {
  transport::SendPort& port = pair.link().send_port(0);
  TUTTI_TRY(pair.until([&] { return port.reserve(bytes).data() != nullptr; }));
  port.commit(bytes, 0);
  return {};
}

Status take_small(RdmaPair& pair, int spins = RdmaPair::kSpins) {
  transport::RecvPort& port = pair.link().recv_port(0);
  TUTTI_TRY(pair.until([&] { return port.peek().data() != nullptr; }, spins));
  port.release();
  return {};
}

// Streams, and returns once the other end has all of it.
Status stream(RdmaPair& pair, const RdmaOptions& options, std::int64_t bytes, std::int64_t count) {
  const bool first = pair.rank() == 0;
  Stream stream(pair, options.lanes, bytes, count, first || options.both_ways,
                !first || options.both_ways);
  TUTTI_TRY(pair.until([&] { return stream.advance(); }));
  if (first) return take_small(pair);
  return send_small(pair, 0);
}

double at_share(const std::vector<double>& sorted, double share) {
  const auto index =
      static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(index, 1, sorted.size()) - 1];
}

}  // namespace

Result<Bandwidth> measure_bandwidth(RdmaPair& pair, const RdmaOptions& options, std::int64_t bytes,
                                    std::int64_t iterations) {
  if (options.warmup_iterations > 0) {
    TUTTI_TRY(stream(pair, options, bytes, options.warmup_iterations));
  }
  const double ways = options.both_ways ? 2 : 1;
  const auto begin = Clock::now();
  TUTTI_TRY(stream(pair, options, bytes, iterations));
  const double seconds = seconds_since(begin);
  Bandwidth result;
  result.messages_per_s = ways * static_cast<double>(iterations) / seconds;
  result.average_mib_s = result.messages_per_s * static_cast<double>(bytes) / kMiB;

  result.peak_mib_s = result.average_mib_s;
  const std::int64_t tenth = iterations / 10;
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    TUTTI_TRY(stream(pair, options, bytes, tenth));
    const double rate = ways * static_cast<double>(tenth) / seconds_since(start);
    result.peak_mib_s = std::max(result.peak_mib_s, rate * static_cast<double>(bytes) / kMiB);
  }
  return result;
}

Result<Latency> measure_latency(RdmaPair& pair, const RdmaOptions& options, std::int64_t bytes) {
  std::vector<double> halves;
  halves.reserve(static_cast<std::size_t>(options.iterations));
  const auto size = static_cast<std::size_t>(bytes);
  for (std::int64_t i = -options.warmup_iterations; i < options.iterations; ++i) {
    if (pair.rank() == 1) {
      TUTTI_TRY(take_small(pair, RdmaPair::kLatencySpins));
      TUTTI_TRY(send_small(pair, size));
      continue;
    }
    const auto begin = Clock::now();
    TUTTI_TRY(send_small(pair, size));
    TUTTI_TRY(take_small(pair, RdmaPair::kLatencySpins));
    if (i >= 0) halves.push_back(seconds_since(begin) * 1e6 / 2);
  }
  Latency result;
  if (halves.empty()) return result;
  std::sort(halves.begin(), halves.end());
  double sum = 0;
  for (const double half : halves) sum += half;
  result.average_us = sum / static_cast<double>(halves.size());
  double squares = 0;
  for (const double half : halves)
    squares += (half - result.average_us) * (half - result.average_us);
  result.deviation_us = std::sqrt(squares / static_cast<double>(halves.size()));
  result.min_us = halves.front();
  result.max_us = halves.back();
  result.typical_us = at_share(halves, 0.5);
  result.p99_us = at_share(halves, 0.99);
  result.p999_us = at_share(halves, 0.999);
  return result;
}

}  // namespace tutti::perf
