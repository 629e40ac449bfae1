#include "runtime/call_log.h"

namespace tutti::runtime {
namespace {

std::uint64_t pack(const Call& call) {
  return static_cast<std::uint64_t>(call.collective) | static_cast<std::uint64_t>(call.type) << 8 |
         static_cast<std::uint64_t>(call.op) << 16 | (call.premultiplied ? 1ULL << 24 : 0) |
         (call.uneven ? 1ULL << 25 : 0) |
         static_cast<std::uint64_t>(static_cast<std::uint32_t>(call.root)) << 32;
}

}  // namespace

// A word's release makes the zero before it visible to whoever sees the word.
void CallLog::put(const Call& call) noexcept {
  Entry& entry = entries_[call.sequence % kCalls];
  entry.sequence.store(0, std::memory_order_relaxed);
  entry.what.store(pack(call), std::memory_order_release);
  entry.count.store(static_cast<std::uint64_t>(call.count), std::memory_order_release);
  entry.counts_hash.store(call.counts_hash, std::memory_order_release);
  entry.history.store(call.history, std::memory_order_release);
  entry.sequence.store(call.sequence, std::memory_order_release);
}

std::optional<Call> CallLog::find(std::uint64_t sequence) const noexcept {
  const Entry& entry = entries_[sequence % kCalls];
  if (sequence == 0 || entry.sequence.load(std::memory_order_acquire) != sequence) return {};
  const std::uint64_t what = entry.what.load(std::memory_order_acquire);
  const std::uint64_t count = entry.count.load(std::memory_order_acquire);
  const std::uint64_t counts_hash = entry.counts_hash.load(std::memory_order_acquire);
  const std::uint64_t history = entry.history.load(std::memory_order_acquire);
  if (entry.sequence.load(std::memory_order_relaxed) != sequence) return {};
  return Call{.sequence = sequence,
              .collective = static_cast<Collective>(what & 0xff),
              .type = static_cast<DataType>(what >> 8 & 0xff),
              .op = static_cast<ReduceOp>(what >> 16 & 0xff),
              .premultiplied = (what >> 24 & 1) != 0,
              .uneven = (what >> 25 & 1) != 0,
              .root = static_cast<std::int32_t>(what >> 32),
              .count = static_cast<std::int64_t>(count),
              .counts_hash = counts_hash,
              .history = static_cast<std::uint32_t>(history)};
}

}  // namespace tutti::runtime
