#include "runtime/call_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace tutti::runtime {
namespace {

// Every field follows from the number, so that a torn entry shows.
Call call_of(std::uint64_t sequence) {
  return {.sequence = sequence,
          .collective = static_cast<Collective>(sequence % kCollectiveCount),
          .type = static_cast<DataType>(sequence % kDataTypeCount),
          .op = static_cast<ReduceOp>(sequence % kReduceOpCount),
          .premultiplied = sequence % 2 == 0,
          .uneven = sequence % 3 == 0,
          .root = static_cast<std::int32_t>(sequence % 7),
          .count = static_cast<std::int64_t>(sequence * 1'000'003),
          .counts_hash = sequence * 0x9e3779b97f4a7c15,
          .history = static_cast<std::uint32_t>(sequence * 77)};
}

TEST(CallLog, KnowsTheLastCallsAndNoOthers) {
  CallLog log;
  EXPECT_FALSE(log.find(0));
  EXPECT_FALSE(log.find(1));
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) log.put(call_of(sequence));
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) {
    const auto found = log.find(sequence);
    EXPECT_EQ(found.has_value(), sequence > 200 - CallLog::kCalls) << sequence;
    if (found) {
      EXPECT_EQ(*found, call_of(sequence));
    }
  }
  EXPECT_FALSE(log.find(201));
}

TEST(CallLog, AReaderNeverSeesATornEntry) {
  CallLog log;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t sequence = 1; sequence <= 300'000; ++sequence) log.put(call_of(sequence));
    stop = true;
  });
  std::uint64_t near = 1;
  while (!stop) {
    for (std::uint64_t sequence = near; sequence < near + 2 * CallLog::kCalls; ++sequence) {
      const auto found = log.find(sequence);
      if (!found) continue;
      ASSERT_EQ(*found, call_of(sequence));
      near = sequence;
    }
    near += CallLog::kCalls;
    if (!log.find(near)) near = near > 10 * CallLog::kCalls ? near - 10 * CallLog::kCalls : 1;
  }
  writer.join();
  EXPECT_EQ(log.find(300'000), call_of(300'000));
}

}  // namespace
}  // namespace tutti::runtime
