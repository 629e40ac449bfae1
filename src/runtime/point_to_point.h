// Sends and receives: any number of them, which move together whatever their order.
//
// A transfer travels as messages of at most a slot, message k on lane k mod lanes; one without
// elements is one empty message. On one host a long one that lies in allocated memory, or anywhere
// where ranks can read each other's processes, may be a single message that says where: the
// receiver copies it from there, and the sender waits until it has. Transfers with one peer in one
// direction keep their order. All others move independently, so that a set of transfers never
// deadlocks by its order.
//
// Where memory joins all ranks, an uneven all-to-all is such a set too.
//
// No allocation once as many transfers have been seen. One thread at a time.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/reduce.h"
#include "runtime/activity.h"
#include "runtime/binding.h"
#include "runtime/call.h"
#include "runtime/control.h"
#include "runtime/engine_reach.h"
#include "runtime/lending.h"
#include "runtime/transfer.h"
#include "runtime/waiter.h"
#include "tutti/status.h"
#include "tutti/types.h"

namespace tutti::runtime {

// Transfers that are asked for while others run already: an asynchronous receive may be what the
// peer waits for before it takes our send.
class TransferSource {
 public:
  // The next ones, or none for now. They stay valid until they are done.
  virtual std::span<const Transfer> more() = 0;
  // One of those that more() gave is over; they are counted from 0.
  virtual void done(std::size_t number) = 0;

 protected:
  ~TransferSource() = default;
};

class PointToPoint final : private Activity {
 public:
  // `reach`: null where not all links are memory.
  PointToPoint(Waiter& waiter, Control& control, Links& links, Reach* reach, int rank)
      : waiter_(waiter),
        control_(control),
        links_(links),
        reach_(reach),
        rank_(rank),
        lanes_(reach != nullptr ? 1 : links.lanes()) {}

  // Runs them to the end. `sequence` is that of the collective before them. Errors are final for
  // the communicator. REQUIRES: no transfer with oneself.
  Status run(std::span<const Transfer> transfers, std::uint64_t sequence);
  // The same with those that `source` has, as long as there are any.
  Status run(TransferSource& source, std::uint64_t sequence);
  // Those of an uneven all-to-all: tags and errors are the call's. `in_place`: what is sent to a
  // peer lies where as much comes from it. `store`: of what is received, unless the kernel copies
  // it. REQUIRES: at most one transfer with each peer in each direction; there is a `reach`.
  Status run(std::span<const Transfer> transfers, const Call& call, bool in_place,
             device::Store store);

 private:
  // The transfers with one peer in one direction, first one first.
  struct Stream {
    transport::Link* link = nullptr;
    int peer = 0;
    bool sends = false;
    struct Item {
      const Transfer* transfer;
      std::size_t number;  // as the source counts
      // When it is taken from where it lies: messages of its port, this one's the last.
      std::uint64_t place = 0;
    };
    std::vector<Item> items;
    std::size_t current = 0;
    std::size_t told = 0;      // those before it are known to be over
    std::int64_t message = 0;  // of the current transfer
    int lane = 0;              // its lane
    int lanes = 0;             // of those, the first so many were sent on
    // Of what is sent: memory of the current transfer that needs no copy, or null.
    const transport::Registration* lent = nullptr;
    // Of the current transfer: which way it goes, if that was chosen or seen already, whether its
    // sender allocated the memory that it lies in, as far as that is known, and what it took to
    // copy what there was of it so far, in ticks.
    std::optional<Way> way;
    bool is_allocated = false;
    std::int64_t took = 0;
    bool learns = false;           // that counts
    std::uint64_t last_place = 0;  // of the items that were sent

    bool done() const { return current == items.size(); }
    const Transfer& transfer() const { return *items[current].transfer; }
  };

  void begin(std::uint64_t sequence);
  Status run();

  // ---- Short sends, then a receive from each of some ranks (point_to_point_short.cpp)

  // Leaves in `transfers` those that are still to be done. REQUIRES: there is a `reach`.
  Status run_short(std::span<const Transfer>& transfers);
  bool send_short(const Transfer& transfer);
  // Of left_: what cannot be taken there stays.
  Status receive_short();
  enum class Came : std::uint8_t { nothing, all, other };
  Came take_short(const Transfer& transfer);

  // ---- Streams

  Status open(std::span<const Transfer> transfers);
  Status join();
  void ask_for_more();
  void tell_what_is_over();
  Stream& stream_of(const Transfer& transfer);
  // Null where there is none.
  Stream* find(int peer, bool sends);
  void index_stream(std::size_t index);
  static std::size_t key_of(int peer, bool sends) {
    return 2 * static_cast<std::size_t>(peer) + (sends ? 1 : 0);
  }
  void start_transfer(Stream& stream);
  Pass pass();
  // Moves the stream's next message. False when its port is not ready.
  bool send(Stream& stream);
  bool receive(Stream& stream);
  void next(Stream& stream);
  void finish_transfer(Stream& stream);
  // What the other rank is to check too.
  std::uint64_t tag(const Transfer& transfer) const;
  // Of what is received.
  device::Store store_received(const Transfer& transfer) const;
  // In place: has what lies where the stream's next message goes, or the whole transfer, been sent?
  bool was_sent(const Stream& stream, bool whole);

  // ---- Transfers that are taken from where they lie (point_to_point_places.cpp)

  // Says where the transfer lies, if it is worth it. False when its port is not ready.
  enum class Sent : std::uint8_t { no, yes, copy_it };
  Sent send_place(Stream& stream);
  bool send_place(Stream& stream, std::span<const std::byte> place);
  bool may_be_place(const Transfer& transfer, std::size_t bytes) const;
  // Those whose senders learn which way to go, from what each took.
  bool may_learn(const Transfer& transfer) const;
  Traffic traffic_of(const Stream& stream) const;
  void learn(const Stream& stream);
  bool receive_from_place(Stream& stream, std::span<const std::byte> incoming);
  Status fetch(const Stream& stream, std::span<const std::byte> incoming);
  bool flush();
  bool flush(const Stream& stream) const;
  void give_back();
  std::span<pollfd> poll_fds();

  // ---- Errors (point_to_point_errors.cpp)

  bool over(const Stream& stream) const;
  Result<int> blocked_on() const;
  // A stream that waits for what the peer, which is through with the call, has never done.
  Status check_counts() const;
  // The same of a receive at that port.
  Status check_came(int peer, transport::RecvPort& port) const;
  Status unexpected(const Stream& stream, std::uint64_t tag, std::size_t bytes) const;
  Status unexpected_in_call(const Stream& stream, std::uint64_t tag, std::size_t bytes) const;

  std::uint64_t sequence() const override { return sequence_; }
  std::string text() const override;

  Waiter& waiter_;
  Control& control_;
  Links& links_;
  Reach* reach_;
  int rank_;
  int lanes_;  // one where memory joins all ranks
  std::uint64_t sequence_ = 0;
  TransferSource* source_ = nullptr;
  const Call* call_ = nullptr;  // of which the transfers are a part, or null
  bool in_place_ = false;
  device::Store store_ = device::Store::cached;  // of that call
  std::size_t asked_for_ = 0;                    // transfers so far
  std::vector<Transfer> left_;                   // receives, where those are short
  std::vector<Stream> streams_;  // the first used_ are in use, the others keep their memory
  std::size_t used_ = 0;
  std::vector<std::size_t> index_;  // by key_of(): in streams_, if that is in use and this one's
  struct Borrowed {
    transport::Link* link;
    const transport::Registration* memory;
  };
  std::vector<Borrowed> borrowed_;
  Status error_;
  std::vector<pollfd> fds_;
};

}  // namespace tutti::runtime
