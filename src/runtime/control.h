// The control path: who failed, when, doing what. Separate from the data path.
//
// The ranks of a communicator form a binary tree of TCP connections (rank r's parent is (r - 1) /
// 2), served by one thread per rank. It carries heartbeats and one kind of news. A closed
// connection (a killed process) is known everywhere within a second. A rank whose heartbeats stop
// is remembered as silent by its neighbours. The first failure that a rank learns of is final.
//
// Thread-safe, except that close() is called once, last.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "runtime/call.h"
#include "runtime/call_log.h"
#include "transport/card.h"
#include "transport/switchboard.h"
#include "tutti/status.h"

namespace tutti::runtime {

class Control {
 public:
  // Connects the tree. Collective. `wake` is called (from the control thread) whenever failed() or
  // departed() may have changed, to end a sleep; it must not block.
  static Result<std::unique_ptr<Control>> start(int rank, const std::vector<transport::Card>& cards,
                                                transport::Switchboard& switchboard,
                                                Deadline deadline, std::function<void()> wake);
  virtual ~Control() = default;

  // Hot: one relaxed load. True once a failure is known or some rank has left.
  bool attention() const noexcept { return attention_.load(std::memory_order_acquire); }
  // Cold: the first failure, or success.
  virtual Status failure() const = 0;
  // Cold: ranks that closed in good order, with the number of operations each had finished.
  struct Departure {
    int rank;
    std::uint64_t finished;
  };
  virtual std::vector<Departure> departures() const = 0;

  // Hot: this rank makes its collective call number call.sequence (1, 2, ...), or has finished it.
  // A few relaxed stores; read by the control thread when somebody asks who is late, or what was
  // called.
  void entered(const Call& call) noexcept {
    calls_.put(call);
    entered_.store(call.sequence, std::memory_order_relaxed);
  }
  void finished(std::uint64_t sequence) noexcept {
    finished_.store(sequence, std::memory_order_relaxed);
  }

  // What this rank called as that number; nothing when it was none of the last calls.
  std::optional<Call> called(std::uint64_t sequence) const noexcept {
    return calls_.find(sequence);
  }

  // This rank fails: makes `error` final here and tells every rank. Keeps the first failure;
  // returns the one that is final. Never blocks for long.
  virtual Status report(Status error) = 0;

  // The deadline of operation `sequence` passed here while waiting for rank `waiting_for`. Asks the
  // tree who has not entered that operation or is silent, waits at most a second for answers, and
  // makes the error final everywhere. The message names the rank at fault, its host, what it is
  // (not) doing, and what to do. `operation` describes the call: "all_reduce(float32, 1024, sum)".
  virtual Status timed_out(std::uint64_t sequence, const std::string& operation, int waiting_for,
                           std::int64_t timeout_ms) = 0;

  // In its call `mine`, this rank met data of operation `sequence` of rank `peer`, or of another
  // call of the same number. Asks the tree what was called then, waits a second or two at most, and
  // makes the error final everywhere: Code::mismatch, which names two ranks, their hosts and both
  // calls; the same two on every rank that finds out.
  //
  // Where no data meets, each rank waiting for another, the heartbeats find the same within two
  // seconds: they tell the neighbours the current call.
  virtual Status mismatched(const Call& mine, int peer, std::uint64_t sequence) = 0;

  // In good order: tells every rank that this one leaves, waits until all have said so, one failed
  // or the deadline passed, and closes. Never fails.
  virtual void close(Deadline deadline) = 0;

 protected:
  std::atomic<bool> attention_{false};
  std::atomic<std::uint64_t> entered_{0};
  std::atomic<std::uint64_t> finished_{0};
  CallLog calls_;
};

}  // namespace tutti::runtime
