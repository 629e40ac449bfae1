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
#include "runtime/activity.h"
#include "runtime/binding.h"
#include "runtime/control.h"
#include "runtime/operation.h"
#include "runtime/tiling.h"
#include "runtime/waiter.h"

namespace tutti::runtime {

inline constexpr int kLanesMax = 8;

class Executor {
 public:
  // `tile_bytes_min` is that of the communicator's plan::LinkModel.
  Executor(Waiter& waiter, Control& control, int rank, int size, std::int64_t tile_bytes_min)
      : waiter_(waiter),
        control_(control),
        rank_(rank),
        size_(size),
        tile_bytes_min_(tile_bytes_min) {}

  // Runs this rank's part of the operation. Errors are final for the communicator.
  Status run(const Operation& operation, const Call& call, const Binding& binding);

 private:
  // One lane: an instance of the program that takes tiles lane, lane + lanes, ...
  struct Lane {
    std::int64_t tile = 0;
    std::size_t step = 0;
    std::byte* scratch = nullptr;     // of the program
    std::byte* input_copy = nullptr;  // the tile's input times the factor, or null
  };
  // The part of a step that lies in one piece in memory.
  struct Piece {
    const std::byte* source = nullptr;  // what is sent, copied, or combined with what comes
    std::byte* target = nullptr;        // where what comes is stored
    std::int64_t elements = 0;
  };

  void begin(const Operation& operation, const Call& call, const Binding& binding);
  void divide_scratch();
  void scale_input(Lane& lane);
  void borrow_buffers();
  void return_buffers();
  Pass pass();
  // Takes the lane's next message or copy. False when a port is not ready.
  bool advance(int index);
  void copy(Lane& lane, const plan::Step& step);
  bool send(Lane& lane, const plan::Step& first, transport::SendPort& port);
  bool receive(int index, Lane& lane, const plan::Step& first, transport::RecvPort& port);
  // The port of the next step, if the two are to be done in one go; with its window.
  transport::SendPort* forward_port(int index, const Lane& lane, std::size_t bytes,
                                    std::span<std::byte>& window);
  void take(const plan::Step& step, const Piece& piece, const std::byte* incoming,
            std::byte* forward) const;
  void next(Lane& lane, std::size_t step);
  bool flush();
  std::span<pollfd> poll_fds();

  // ---- Where things are

  // Pieces of a step: its chunks, or one where they follow each other in memory.
  std::uint32_t pieces(const plan::Step& step) const;
  Piece piece(const Lane& lane, const plan::Step& step, std::uint32_t index) const;
  // One past the last part of the message that begins at `first`, and the message's bytes.
  std::size_t message_end(std::size_t first) const;
  std::size_t message_bytes(const Lane& lane, std::size_t first, std::size_t end) const;
  // The registration of the buffer that the step at `index` may be sent from, or null: copy.
  const transport::Registration* lent(std::size_t index, std::size_t bytes) const;
  std::uint64_t tag(const plan::Step& step) const;

  void combine(const plan::Step& step, std::byte* dst, const std::byte* local,
               const std::byte* incoming, std::int64_t count) const;
  void combine_both(const plan::Step& step, std::byte* first, std::byte* second,
                    const std::byte* local, const std::byte* incoming, std::int64_t count) const;

  // ---- Errors

  // The peer that the first unfinished port waits for, or the error that a port shows.
  Result<int> blocked_on() const;
  bool sends_more(const transport::SendPort& port) const;
  Status port_error(transport::PortState state, int peer) const;
  // Elements, in an uneven all-to-all.
  std::int64_t expected_count(int sender) const;
  // A message came that this operation does not expect.
  Status unexpected(const plan::Step& step, std::uint64_t tag, std::size_t bytes,
                    std::size_t expected_bytes) const;

  Waiter& waiter_;
  Control& control_;
  int rank_;
  int size_;
  std::int64_t tile_bytes_min_;

  // Of the running operation.
  const Operation* operation_ = nullptr;
  const Call* call_ = nullptr;
  const Binding* binding_ = nullptr;
  const device::Kernels* kernels_ = nullptr;
  Tiling tiling_;
  std::int64_t element_bytes_ = 1;
  std::uint64_t tag_ = 0;
  bool pairs_differ_ = false;  // an uneven all-to-all
  int lanes_used_ = 0;
  int active_ = 0;
  const transport::Registration* lent_send_ = nullptr;  // of operation_->send
  const transport::Registration* lent_recv_ = nullptr;
  std::array<Lane, kLanesMax> lanes_;
  Status error_;                    // of a message that was not expected
  std::vector<std::byte> scratch_;  // of all lanes; grows to the largest operation once
  std::vector<pollfd> fds_;         // reused: grows to the largest binding once
};

}  // namespace tutti::runtime
