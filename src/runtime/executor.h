// Runs a bound program over the caller's buffers: the hot path of every planned collective.
//
// No allocation, lock or system call of its own once a shape has run (ports may make some, a wait
// may sleep). One executor belongs to one communicator and one thread at a time.
#pragma once

#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device/reduce.h"
#include "plan/partition.h"
#include "runtime/binding.h"
#include "runtime/operation.h"
#include "runtime/waiter.h"

namespace tutti::runtime {

inline constexpr int kLanesMax = 8;

class Executor {
 public:
  Executor(Waiter& waiter, int rank, int size) : waiter_(waiter), rank_(rank), size_(size) {}

  // Runs this rank's part of the operation. Errors are final for the communicator.
  Status run(const Operation& operation, const Binding& binding);

 private:
  // One lane: an instance of the program that takes tiles lane, lane + lanes, ...
  struct Lane {
    std::int64_t tile = 0;
    std::size_t step = 0;
    plan::Range range;  // of the tile, in elements
  };

  void begin(const Operation& operation, const Binding& binding);
  void borrow_buffers();
  void return_buffers();
  Pass pass();
  // Takes the lane's next step. False when a port is not ready.
  bool advance(int index);
  bool send(Lane& lane, const plan::Step& step, transport::SendPort& port);
  bool receive(int index, Lane& lane, const plan::Step& step, transport::RecvPort& port);
  void next(Lane& lane, std::size_t steps);
  bool flush();
  std::span<pollfd> poll_fds();

  // The registration of the buffer that the step at `index` may be sent from, or null: copy.
  const transport::Registration* lent(std::size_t index, std::size_t bytes) const;
  plan::Range elements(const Lane& lane, const plan::Step& step) const;
  std::byte* output(const plan::Range& range) const;
  const std::byte* local(const plan::Step& step, const plan::Range& range) const;
  void combine(const plan::Step& step, std::byte* dst, const std::byte* local,
               const std::byte* incoming, std::int64_t count) const;
  void combine_both(const plan::Step& step, std::byte* first, std::byte* second,
                    const std::byte* local, const std::byte* incoming, std::int64_t count) const;

  // The peer that the first unfinished port waits for, or the error that a port shows.
  Result<int> blocked_on() const;
  Status port_error(transport::PortState state, int peer) const;

  Waiter& waiter_;
  int rank_;
  int size_;

  // Of the running operation.
  const Operation* operation_ = nullptr;
  const Binding* binding_ = nullptr;
  const device::Kernels* kernels_ = nullptr;
  std::int64_t element_bytes_ = 1;
  std::int64_t alignment_ = 1;  // of partitions, in elements: a cache line
  std::int64_t tiles_ = 0;
  int lanes_used_ = 0;
  int active_ = 0;
  const transport::Registration* lent_send_ = nullptr;  // of operation_->send
  const transport::Registration* lent_recv_ = nullptr;
  std::array<Lane, kLanesMax> lanes_;
  Status error_;             // a message of the wrong size
  std::vector<pollfd> fds_;  // reused: grows to the largest binding once
};

}  // namespace tutti::runtime
